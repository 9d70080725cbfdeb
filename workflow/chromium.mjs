/* What every script that drives Chromium begins with.
 *
 * wanted is the JSON of standard input; of it, chromium (executable) and modules (a folder with
 * node_modules/playwright-core) are used here.
 */
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

// Nothing that Chromium does by itself may ask the network.
const QUIET = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
  "--disable-background-networking", "--disable-component-update",
];

// Nobody waits for the result when the process that asked for it is gone.
const asker = process.ppid;
setInterval(() => process.ppid === asker || process.exit(1), 500).unref();

export const wanted = JSON.parse(readFileSync(0, "utf8"));
export const require = createRequire(`${wanted.modules}/`);

export const launch = () =>
  require("playwright-core").chromium.launch({ executablePath: wanted.chromium, args: QUIET });

/* Visit pages in Chromium and let axe-core look at them: node axe.mjs < {"pages": [...], ...}
 *
 * Reads JSON from standard input: pages (addresses), chromium (executable), modules (a folder with
 * node_modules), modes (light, dark), width. Every page is visited in every mode, with all that is
 * folded away unfolded.
 * Prints a JSON list: per visit its address, the mode, requests, errors, how many rules passed, and
 * the violations: rule, help, and per element its selector and what is wrong with it.
 */
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const wanted = JSON.parse(readFileSync(0, "utf8"));
const require = createRequire(`${wanted.modules}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const quiet = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
  "--disable-background-networking", "--disable-component-update",
];
const browser = await chromium.launch({ executablePath: wanted.chromium, args: quiet });
const told = [];
for (const mode of wanted.modes) {
  const context = await browser.newContext({
    viewport: { width: wanted.width ?? 1280, height: 900 },
    colorScheme: mode,
    reducedMotion: "reduce",
  });
  for (const address of wanted.pages) {
    const page = await context.newPage();
    const requests = [];
    const errors = [];
    page.on("request", (request) => requests.push(request.url()));
    page.on("requestfailed", (request) => errors.push(`failed: ${request.url()}`));
    page.on("response", (response) => {
      if (response.status() >= 400) errors.push(`${response.status()}: ${response.url()}`);
    });
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    page.on("pageerror", (error) => errors.push(String(error)));
    await page.goto(address, { waitUntil: "load" });
    await page.evaluate(async () => {
      await window.MathJax?.startup?.promise;
      for (const folded of document.querySelectorAll("main details")) folded.open = true;
    });
    const widgets = await page.locator("script[src*=html-manager]").count();
    await page.waitForTimeout(wanted.settle ?? (widgets ? 1000 : 200)); // widgets, unfolding
    await page.evaluate(axe);
    const seen = await page.evaluate(async () => {
      const { violations, passes } = await window.axe.run(document, {
        preload: false, // it would fetch style sheets, which file:// forbids
      });
      return {
        mode: document.documentElement.dataset.theme,
        passes: passes.length,
        violations: violations.map(({ id, impact, help, nodes }) => ({
          id, impact, help,
          nodes: nodes.map((node) => ({
            target: node.target.join(" "),
            html: node.html.slice(0, 200),
            why: node.failureSummary,
          })),
        })),
      };
    });
    told.push({ address, requests, errors, ...seen });
    await page.close();
  }
  await context.close();
}
await browser.close();
console.log(JSON.stringify(told));

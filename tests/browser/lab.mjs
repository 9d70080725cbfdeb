/* Draw in the recorder of a notebook in JupyterLab: node lab.mjs < {"address": ..., ...}
 *
 * Reads JSON from standard input: address (of the notebook in JupyterLab), chromium, modules, mouse (a stroke in
 * shares of the drawing area), shot (where a picture of the page goes). The notebook's first cell shows a
 * recorder, its second prints SAVED once it has the stroke, its third empties the recorder and prints EMPTIED.
 * Prints JSON: the recorder's notes before and after each of them, and page errors.
 */
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const wanted = JSON.parse(readFileSync(0, "utf8"));
const { chromium } = createRequire(`${wanted.modules}/`)("playwright-core");
const quiet = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
  "--disable-background-networking", "--disable-component-update",
];
const browser = await chromium.launch({ executablePath: wanted.chromium, args: quiet });
const page = await browser.newPage({ viewport: { width: 1300, height: 1100 } });
page.setDefaultTimeout(240_000);
const errors = [];
page.on("pageerror", (error) => errors.push(String(error)));
await page.goto(wanted.address);
const cell = (number) => page.locator(".jp-Notebook .jp-CodeCell").nth(number);
const run = async (number) => {
  // JupyterLab drops what is asked of a kernel that is still starting: ask until it is taken.
  const prompt = cell(number).locator(".jp-InputPrompt");
  for (let i = 0; i < 120 && /\[\s*\]/.test(await prompt.textContent()); i++) {
    await cell(number).locator(".jp-InputArea-editor").click();
    await page.keyboard.press("Shift+Enter");
    await page.waitForTimeout(1000);
  }
};
await cell(0).waitFor();
await page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").waitFor();
await run(0);
const pad = page.locator(".ebm-pad");
await pad.waitFor().catch(async (error) => {
  await page.screenshot({ path: wanted.shot });
  throw error;
});
const note = () => page.locator(".ebm-recorder .ebm-note").first().textContent();
const told = { before: await note() };
await pad.scrollIntoViewIfNeeded();
const box = await pad.boundingBox();
const [first, ...rest] = wanted.mouse.map(([x, y]) => [box.x + x * box.width, box.y + y * box.height]);
await page.mouse.move(...first);
await page.mouse.down();
for (const point of rest) {
  await page.mouse.move(...point);
  await page.waitForTimeout(12);
}
await page.mouse.up();
told.drawn = await note();
await page.screenshot({ path: wanted.shot });
for (const [number, word] of [[1, "SAVED"], [2, "EMPTIED"]]) {
  await run(number);
  await cell(number).locator(".jp-OutputArea-output", { hasText: word }).waitFor();
  told[word] = await note();
}
await browser.close();
console.log(JSON.stringify({ ...told, errors }));

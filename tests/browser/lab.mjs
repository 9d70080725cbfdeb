/* Draw in the recorder of a notebook in JupyterLab: node lab.mjs < {"address": ..., ...}
 *
 * Reads JSON from standard input: address (of the notebook in JupyterLab), chromium, modules, mouse (a stroke in
 * shares of the drawing area), shot (where a picture of the page goes). The notebook's first cell shows a
 * recorder, its second prints SAVED once it has the stroke, its third empties the recorder and prints EMPTIED.
 * Prints JSON: the recorder's notes before and after each of them, and page errors.
 */
import { drawStroke, finish, launch, wanted } from "./session.mjs";

const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1300, height: 1100 } });
page.setDefaultTimeout(240_000);
const errors = []; // what is thrown: JupyterLab itself may complain
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
await drawStroke(page, pad, wanted.mouse);
told.drawn = await note();
await page.screenshot({ path: wanted.shot });
for (const [number, word] of [[1, "SAVED"], [2, "EMPTIED"]]) {
  await run(number);
  await cell(number).locator(".jp-OutputArea-output", { hasText: word }).waitFor();
  told[word] = await note();
}
await finish(browser, { ...told, errors });

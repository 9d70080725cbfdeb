/* "Run all" on a notebook in JupyterLab, then its sliders: node run_all.mjs < {"address": ..., ...}
 *
 * Reads JSON from standard input: address (of the notebook in JupyterLab), chromium, modules, shot (where a
 * picture of the page goes), sliders (press the keys of the laboratory's sliders, too). Prints JSON: how many
 * cells have run and the text of outputs that are errors; what the sliders' line said after a training and
 * after one that was stopped, how many pictures there were, and page errors.
 */
import { finish, launch, wanted } from "./session.mjs";

const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1300, height: 1100 } });
page.setDefaultTimeout(300_000);
const errors = [];
page.on("pageerror", (error) => errors.push(String(error)));
await page.goto(wanted.address);
await page.locator(".jp-Notebook .jp-CodeCell").first().waitFor();
// The whole notebook is there only while it is scrolled: JupyterLab leaves out what is not seen.
const command = (id) => page.evaluate((id) => { window.jupyterapp.commands.execute(id); }, id);
const state = () => page.evaluate(() => {
  const { model } = window.jupyterapp.shell.currentWidget.content;
  const cells = [...model.cells].filter((cell) => cell.type === "code");
  const outputs = cells.flatMap((cell) => cell.outputs.toJSON());
  return {
    cells: cells.length,
    run: cells.filter((cell) => cell.executionCount).length,
    failed: outputs.filter((output) => output.output_type === "error").map((o) => o.evalue),
  };
});
// Once, and when the kernel has started: what is asked of one that still starts may be dropped, and asking again
// for what is under way opens a dialog.
const status = () => page.evaluate(
  () => window.jupyterapp.shell.currentWidget?.sessionContext?.kernelDisplayStatus);
const kernel = async (word) => {
  for (let i = 0; i < 1200 && (await status()) !== word; i++) await page.waitForTimeout(250);
};
await kernel("idle");
await command("notebook:run-all-cells");
for (let i = 0; i < 300; i++) {
  const now = await state();
  if (now.run === now.cells || now.failed.length) break;
  await page.waitForTimeout(1000);
}
await kernel("idle");
const told = await state();
if (wanted.sliders) {
  const button = (name) => page.getByRole("button", { name });
  await page.evaluate(() => {
    const { content } = window.jupyterapp.shell.currentWidget;
    return content.scrollToItem(content.widgets.length - 1);
  });
  const train = button("Train and draw");
  await train.waitFor();
  await train.scrollIntoViewIfNeeded();
  const box = page.locator(".widget-vbox", { has: train }).first();
  const line = () => box.locator(".widget-html-content").first().textContent();
  const says = async (word) => {
    for (let i = 0; i < 600 && !(await line()).includes(word); i++) await page.waitForTimeout(200);
    return line();
  };
  const slide = async (number, key, times) => {
    await box.locator(".noUi-handle").nth(number).focus();
    for (let i = 0; i < times; i++) await page.keyboard.press(key);
  };
  told.first = await line();
  await slide(0, "ArrowRight", 10); // alpha
  await slide(1, "ArrowLeft", 3); // K
  told.readouts = await box.locator(".widget-readout").allTextContents();
  await page.waitForTimeout(3000); // a slider sends its last value when the one before has arrived
  await train.click();
  told.drawn = await says("Drawn");
  await box.locator("img").nth(1).waitFor();
  told.pictures = await box.locator("img").count();
  await page.screenshot({ path: wanted.shot });
  await slide(2, "End", 1); // epochs
  await train.click();
  told.training = await says("Training: epoch");
  await button("Stop").click();
  told.stopped = await says("Stopped");
}
await finish(browser, { ...told, errors });

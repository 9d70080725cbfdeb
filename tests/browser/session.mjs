/* What the scripts beside this one share: the window, what a page asks and says, axe-core, a hand. */
import { readFileSync } from "node:fs";
import { launch, require, wanted } from "../../workflow/chromium.mjs";

export { launch, wanted };

/** A window of this size, with the width, dark, still and javascript that are wanted. */
export const openWindow = (browser, width, height, options = {}) => browser.newContext({
  viewport: { width: wanted.width ?? width, height },
  colorScheme: wanted.dark ? "dark" : "light",
  reducedMotion: wanted.still ? "reduce" : "no-preference",
  javaScriptEnabled: wanted.javascript !== false,
  ...options,
});

/** Note what a page asks for and what goes wrong on it, from now on. */
export function watch(page) {
  const requests = [];
  const errors = [];
  page.on("request", (request) => requests.push(request.url()));
  page.on("requestfailed", (request) => errors.push(`failed: ${request.url()}`));
  page.on("response", (response) => {
    if (response.status() >= 400) errors.push(`${response.status()}: ${response.url()}`);
  });
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(String(error)));
  return { requests, errors };
}

/** Wait some milliseconds after the load event, or longer on a page whose widgets work on then. */
export async function settle(page, plain, withWidgets) {
  const widgets = await page.locator("script[src*=html-manager]").count();
  await page.waitForTimeout(widgets ? withWidgets : plain);
}

/** What the visit of each of these pages tells, in their order; several are open at once, as most of a
 *  visit is waiting. */
export async function visitAll(context, addresses, visit, together = 4) {
  const told = [];
  const open = async (next) => {
    for (let i = next(); i < addresses.length; i = next()) {
      const page = await context.newPage();
      told[i] = { address: addresses[i], ...await visit(page, addresses[i]) };
      await page.close();
    }
  };
  let last = -1;
  await Promise.all(Array.from({ length: together }, () => open(() => ++last)));
  return told;
}

/** Do one step: what the first of these actions does that the step names. */
export const act = (actions, step) =>
  actions[Object.keys(actions).find((name) => name in step)](step);

/** Bring axe-core onto a page, unless it is there. */
export async function loadAxe(page) {
  if (await page.evaluate(() => Boolean(window.axe))) return;
  // It would give itself to require.js where that is, and not to the window.
  const source = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
  await page.evaluate(`(() => { const define = undefined, module = undefined; ${source}\n})()`);
}

/** A number for each canvas within an element, another one for another picture. */
export const pictures = (root) => root.locator("canvas").evaluateAll((all) => all.map((canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum = (Math.imul(sum, 31) + data[i]) >>> 0;
  return sum;
}));

/** Where points lie on the page that are given in shares of an element. */
export async function places(element, points) {
  await element.scrollIntoViewIfNeeded();
  const box = await element.boundingBox();
  return points.map(([x, y]) => [box.x + x * box.width, box.y + y * box.height]);
}

/** Draw one stroke with the mouse, through points in shares of an element. */
export async function drawStroke(page, element, points) {
  const [first, ...rest] = await places(element, points);
  await page.mouse.move(...first);
  await page.mouse.down();
  for (const point of rest) {
    await page.mouse.move(...point);
    await page.waitForTimeout(12);
  }
  await page.mouse.up();
}

/** End the script: print what it has to tell. */
export async function finish(browser, told) {
  await browser.close();
  console.log(JSON.stringify(told));
}

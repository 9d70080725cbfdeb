/* Play the particle explorer: node frames.mjs < {"address": ..., "speeds": [...]}
 *
 * Reads JSON from standard input: address (of a page with the explorer), speeds (asked steps per second,
 * a run each), and what ../workflow/chromium.mjs reads. Every run starts new chains, plays them from their
 * start while they are computed, and counts the pictures drawn until the last step.
 * Prints a JSON list: per run steps, seconds, and the pictures drawn, each with at least one new step.
 */
import { launch, wanted } from "../workflow/chromium.mjs";

const browser = await launch();
const page = await (await browser.newContext({ viewport: { width: 1280, height: 900 } })).newPage();
await page.goto(wanted.address, { waitUntil: "load" });
const explorer = page.locator(".ebm-particles").first();
await explorer.scrollIntoViewIfNeeded();
await page.locator(".ebm-particles[data-settled]").first().waitFor({ timeout: 60000 });
const told = [];
for (const [run, speed] of [wanted.speeds[0], ...wanted.speeds].entries()) { // the first one warms up
  told.push(await explorer.evaluate((element, [seed, speed]) => new Promise((done) => {
    const { view } = element;
    const steps = 500;
    view.set({ playing: false, k: steps, step: 0, speed, seed });
    const began = performance.now();
    let [pictures, last] = [0, 0];
    view.set({ playing: true });
    const look = (now) => {
      const step = view.get("step");
      if (step > last) pictures += 1;
      last = step;
      if (step >= steps) done({ steps, pictures, seconds: (now - began) / 1000 });
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  }), [1000 + run, speed]));
}
await browser.close();
console.log(JSON.stringify(told.slice(1)));

/* Time the rollout explorer: node rollouts.mjs < {"address": ..., "choices": [[data set, K, alpha], ...], "runs": n}
 *
 * Prints a JSON list: per choice and run the seconds until the first action is drawn and until all
 * trajectories have ended, and as a reference the seconds that a product in plain JavaScript takes in
 * the page for a thousandth of the multiplications of one trajectory.
 */
import { launch, wanted } from "../workflow/chromium.mjs";

const browser = await launch();
const page = await (await browser.newContext({ viewport: { width: 1280, height: 900 } })).newPage();
await page.goto(wanted.address, { waitUntil: "load" });
const explorer = page.locator(".ebm-rollouts").first();
await explorer.waitFor({ timeout: 120000 });
await explorer.scrollIntoViewIfNeeded();
await page.locator(".ebm-rollouts[data-settled]").first().waitFor({ timeout: 300000 });
const told = [];
for (const [dataset, k, alpha] of wanted.choices) {
  for (let run = 0; run < wanted.runs; run++) {
    told.push(await explorer.evaluate((element, [name, steps, noise, seed]) => new Promise((done) => {
      const { view } = element;
      const chains = 16, actions = 150, weights = 2 * (2 * 128 * 128 + 128 * 64 + 64 * 2);
      const [w, x, y] = [128 * 128, 128 * chains, 128 * chains].map((n) => new Float64Array(n).fill(0.5));
      let begun = performance.now();
      const products = Math.round((weights * chains * steps * actions) / 1000 / (128 * 128 * chains));
      for (let p = 0; p < products; p++) {
        for (let r = 0; r < 128; r++) {
          for (let c = 0; c < chains; c++) {
            let sum = 0;
            for (let i = 0; i < 128; i++) sum += w[r * 128 + i] * x[c * 128 + i];
            y[c * 128 + r] += sum;
          }
        }
      }
      const reference = (performance.now() - begun) / 1000;
      view.set({ dataset: name, trained_k: steps, trained_alpha: noise, alpha: noise, k: steps, seed, steps: actions, population: chains });
      begun = performance.now();
      let first = null;
      const look = (now) => {
        const { runs } = view;
        const fresh = runs.length > 0 && view.get("seed") === seed && now > begun + 260; // sliders rest for 250 ms
        if (fresh && first === null && runs.some((r) => r.path.length > 2 && r.path.length < 2 * actions + 2)) first = now;
        if (first !== null && runs.every((r) => r.done)) {
          done({ dataset: name, starts: runs.length, first: (first - begun) / 1000, all: (now - begun) / 1000, reference });
        } else requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    }), [dataset, k, alpha, 100 + run]));
  }
}
await browser.close();
console.log(JSON.stringify(told));

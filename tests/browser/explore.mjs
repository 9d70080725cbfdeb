/* Use the explorers in Chromium: node explore.mjs < {"address": ..., "steps": [...]}
 *
 * Reads JSON from standard input: address, chromium, modules (a folder with node_modules), dark,
 * width, still (no motion wanted), javascript (false to do without), workers (false to do without),
 * and steps, done in turn on the widget chosen last ("particles" at first):
 *   {"widget": "particles" | "rollouts"}
 *   {"slider" | "number": label, "to": value}
 *   {"select": label, "to": value}, {"radio" | "tick" | "press": name}
 *   {"keys": [...], "on": selector}           focus by keyboard, then these keys; with "outside": n
 *                                             the n-th of the whole page
 *   {"drag": [dx, dy]}                        the handle, in pixels
 *   {"click": [x, y]}                         on the canvas, in shares of its size
 *   {"settle": true}                          wait until it has told its numbers
 *   {"look": label}                           keep what there is to see under this label
 *   {"stale": seed}                           an answer to chains that are no longer wanted
 *   {"theme": name}, {"media": "print"}, {"shoot": path}, {"axe": label}, {"tab": count}
 * Prints JSON: requests, errors, looks, axe, stops (names of what Tab reached), visible.
 */
import {
  act, finish, launch, loadAxe, openWindow, pictures, wanted, watch,
} from "./session.mjs";

const browser = await launch();
const context = await openWindow(browser, 1000, 1000);
const page = await context.newPage();
const told = { ...watch(page), looks: {}, axe: {}, stops: [] };
if (wanted.workers === false) {
  await context.addInitScript(() => {
    window.Worker = class {
      constructor() {
        throw new Error("no workers here");
      }
    };
  });
}
await page.goto(wanted.address, { waitUntil: "load" });
let root = page.locator(".ebm-particles").first();
if (wanted.javascript !== false) {
  await root.waitFor({ timeout: 60000 });
  await page.locator("[data-engine]").first().waitFor({ timeout: 60000 });
}

const look = async () => ({
  pictures: await pictures(root),
  ...await root.evaluate((element) => {
    const { view } = element;
    const traits = ["alpha", "k", "step", "seed", "state", "dataset", "trained_k", "where", "background", "trail",
      "playing", "estimate", "starts", "trajectories", "numbers", "actions"];
    return {
      traits: Object.fromEntries(traits.map((name) => [name, view.get(name)])),
      tiles: [...element.querySelectorAll(".ebm-tile")].map((tile) => tile.textContent),
      live: element.querySelector("[aria-live]").textContent,
      engine: element.dataset.engine,
      mode: element.dataset.mode,
      overflow: element.scrollWidth - element.clientWidth,
    };
  }),
});

const actions = {
  widget: async ({ widget }) => {
    root = page.locator(`.ebm-${widget}`).first();
    await root.scrollIntoViewIfNeeded();
  },
  slider: ({ slider, to }) => root.getByLabel(slider, { exact: true }).fill(String(to)),
  number: async ({ number, to }) => {
    await root.getByLabel(number, { exact: true }).fill(String(to));
    await page.keyboard.press("Enter");
  },
  select: ({ select, to }) => root.getByLabel(select, { exact: true }).selectOption(to),
  radio: ({ radio }) => root.getByRole("radio", { name: radio, exact: true }).check(),
  tick: ({ tick }) => root.getByRole("checkbox", { name: tick }).check(),
  press: ({ press }) => root.getByRole("button", { name: press, exact: true }).click(),
  keys: async ({ keys, on, outside }) => {
    await (outside === undefined ? root : page).locator(on).nth(outside ?? 0).focus();
    for (const key of keys) await page.keyboard.press(key);
  },
  drag: async ({ drag: [dx, dy] }) => {
    const box = await root.locator(".ebm-handle").boundingBox();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    await page.mouse.move(x, y);
    await page.mouse.down();
    await page.mouse.move(x + dx, y + dy, { steps: 5 });
    await page.mouse.up();
  },
  click: async ({ click: [x, y] }) => {
    const canvas = root.locator("canvas").first();
    const { width, height } = await canvas.boundingBox();
    await canvas.click({ position: { x: x * width, y: y * height } });
  },
  settle: async () => {
    await page.waitForTimeout(50);
    await root.locator("xpath=self::*[@data-settled]").waitFor({ timeout: 60000 });
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  },
  look: async ({ look: label }) => {
    told.looks[label] = await look();
  },
  stale: async ({ stale: seed }) => {
    await root.evaluate((element, other) => new Promise((done) => {
      const { view } = element;
      const { engine, perState, policy, states } = view;
      const request = { network: policy, states, perState, alpha: 0.1, temperature: 1, seed: other, steps: 40 };
      engine.post({ ...request, type: "chain", id: "chain", version: view.version.chain - 1 });
      setTimeout(() => {
        view.redraw();
        requestAnimationFrame(() => requestAnimationFrame(done));
      }, 1000);
    }), seed);
  },
  theme: async ({ theme }) => {
    await page.evaluate((name) => {
      document.documentElement.dataset.theme = name;
    }, theme);
    await page.waitForTimeout(200);
  },
  media: ({ media }) => page.emulateMedia({ media }),
  shoot: ({ shoot }) => page.screenshot({ path: shoot, fullPage: true }),
  axe: async ({ axe: label }) => {
    await loadAxe(page);
    const found = await root.evaluate((element) => window.axe.run(element));
    told.axe[label] = found.violations.map(({ id, nodes }) => `${id}: ${nodes.map((n) => n.html).join(" ")}`);
  },
  tab: async ({ tab }) => {
    for (let i = 0; i < tab; i++) {
      await page.keyboard.press("Tab");
      told.stops.push(await page.evaluate(() => {
        const { activeElement: at } = document;
        return at.getAttribute("aria-label") ?? at.labels?.[0]?.textContent ?? at.textContent;
      }));
    }
  },
};
for (const step of wanted.steps ?? []) await act(actions, step);
told.visible = await page.locator(".ebm, .ebmlib-picture").evaluateAll((all) => all.map((element) => [
  element.className.split(" ")[0], getComputedStyle(element).display !== "none",
  element.querySelector("img")?.naturalWidth ?? 0,
]));
await finish(browser, told);

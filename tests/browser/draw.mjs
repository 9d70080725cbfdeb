/* Use the recorder in Chromium: node draw.mjs < {"address": ..., "steps": [...]}
 *
 * Reads JSON from standard input: address, chromium, modules (a folder with node_modules), dark,
 * width, still (no motion wanted), touch, javascript (false to do without), downloads (folder),
 * axe (run axe-core), and steps, done in turn:
 *   {"mouse": [[x, y], ...]}    one stroke, in shares of the drawing area
 *   {"touch": [[x, y], ...]}    the same with a finger
 *   {"keys": ["Space", ...]}    on the drawing area; {"hold": key, "ms": n} holds one
 *   {"click": name}             a button
 *   {"epochs": n}               wait until so many have been done
 *   {"state": name}             wait for a state of the training
 *   {"look": label}             keep what is to be seen under this label
 *   {"shoot": path}             a picture of the page
 *   {"theme": name}             the page's own switch of light and dark
 *   {"print": path}             the page as it would be printed: a picture of it
 *   {"axe": label}              what axe-core finds in the widget
 * Prints JSON: requests, errors, looks, downloads, axe.
 */
import {
  act, drawStroke, finish, launch, loadAxe, openWindow, pictures, places, wanted, watch,
} from "./session.mjs";

const browser = await launch();
const context = await openWindow(browser, 1100, 1100, {
  hasTouch: Boolean(wanted.touch),
  acceptDownloads: true,
});
const page = await context.newPage();
const told = { ...watch(page), looks: {}, downloads: [], axe: {} };
await page.goto(wanted.address, { waitUntil: "load" });
const root = page.locator(".ebm-recorder");
const pad = root.locator(".ebm-pad");
if (wanted.javascript !== false) await pad.waitFor({ timeout: 60000 });

/** Wait for something; an error on the page ends the wait, since it may be the reason. */
async function until(reached) {
  const end = Date.now() + 600000; // a busy machine takes long; nothing here is timed
  while (!await reached()) {
    if (told.errors.length || Date.now() > end) throw new Error(`waited in vain: ${told.errors[0] ?? "no error"}`);
    await page.waitForTimeout(50);
  }
}

const acts = {
  mouse: ({ mouse }) => drawStroke(page, pad, mouse),
  async touch({ touch }) {
    const session = await context.newCDPSession(page);
    const at = await places(pad, touch);
    const send = (type, touchPoints) => session.send("Input.dispatchTouchEvent", { type, touchPoints });
    await send("touchStart", [{ x: at[0][0], y: at[0][1] }]);
    for (const [x, y] of at.slice(1)) {
      await send("touchMove", [{ x, y }]);
      await page.waitForTimeout(12);
    }
    await send("touchEnd", []);
  },
  async keys({ keys }) {
    await pad.focus();
    for (const key of keys) {
      if (key.hold) {
        await page.keyboard.down(key.hold);
        await page.waitForTimeout(key.ms);
        await page.keyboard.up(key.hold);
      } else {
        await page.keyboard.press(key);
      }
    }
  },
  async click({ click }) {
    const button = root.getByRole("button", { name: click, exact: true });
    if (click !== "Download SVG") {
      await button.click();
      return;
    }
    const [download] = await Promise.all([page.waitForEvent("download"), button.click()]);
    const path = `${wanted.downloads}/${download.suggestedFilename()}`;
    await download.saveAs(path);
    told.downloads.push(path);
  },
  async epochs({ epochs }) {
    await until(async () => Number(await root.locator(".ebm-big").first().textContent()) >= epochs);
  },
  async state({ state }) {
    await until(async () => await root.getAttribute("data-state") === state);
  },
  async look({ look }) {
    await page.waitForTimeout(120); // what was asked for is drawn in the next frame
    told.looks[look] = {
      hashes: await pictures(root),
      texts: await root.locator("canvas").evaluateAll((all) => all.map((c) => c.getAttribute("aria-label"))),
      tiles: await root.locator(".ebm-big").allTextContents(),
      notes: await root.locator(".ebm-note").allTextContents(),
      live: await root.locator("[aria-live]").textContent(),
      buttons: await root.locator("button").evaluateAll((all) => all.map((b) => [b.textContent, b.disabled])),
      state: await root.getAttribute("data-state"),
      engine: await root.getAttribute("data-engine"),
      scrolled: await page.evaluate(() => window.scrollY),
      tooWide: await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth + 1),
    };
  },
  async shoot({ shoot, full }) {
    await page.waitForTimeout(120);
    await (full ? page.screenshot({ path: shoot, fullPage: true }) : root.screenshot({ path: shoot }));
  },
  async theme({ theme }) {
    await page.evaluate((name) => { document.documentElement.dataset.theme = name; }, theme);
  },
  async print({ print }) {
    await page.emulateMedia({ media: "print" });
    told.looks.print = {
      widget: wanted.javascript === false ? null : await root.isVisible(),
      picture: await page.locator(".ebmlib-picture img").first().isVisible(),
    };
    await page.screenshot({ path: print, fullPage: true });
    await page.emulateMedia({ media: "screen" });
  },
  async axe({ axe }) {
    await loadAxe(page);
    const { violations } = await page.evaluate(() => window.axe.run(".ebm-recorder", { preload: false }));
    told.axe[axe] = violations.map(({ id, nodes }) => `${id}: ${nodes.map((n) => n.html.slice(0, 90)).join(" | ")}`);
  },
};
for (const step of wanted.steps) await act(acts, step);
if (wanted.javascript === false) {
  told.looks.plain = { picture: await page.locator(".ebmlib-picture img").first().isVisible() };
}
await finish(browser, told);

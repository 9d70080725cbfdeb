/* Read the built book as a reader does: node read.mjs < {"top": ..., "steps": [...]}
 *
 * Reads JSON from standard input: top (address of the book's folder), chromium, modules, dark, width and
 * steps, each on its page ("page"; the last one's where it is left out):
 *   {"follow": selector, "fold": true}  click a link on the page, and see where its target is then; with
 *                                    "fold" the target is folded away first, as a hide-input cell is
 *   {"search": text}                 from the page's own search field; the hits, then the first of them
 *   {"switch": n}                    press the switch of light and dark n times
 *   {"key": name, "on": selector}    press a key on an element
 *   {"trait": name}                  of the particle explorer
 *   {"text": selector}               what stands there
 *   {"unfold": selector}             open the first box of this kind; the code that then stands in it
 *   {"contrast": selector}           axe-core's verdict on the contrast within it
 * Prints JSON: results (one per step), requests, errors.
 */
import { act, finish, launch, loadAxe, openWindow, wanted, watch } from "./session.mjs";

const browser = await launch();
const context = await openWindow(browser, 1280, 900, { reducedMotion: "reduce" });
const page = await context.newPage();
const noted = watch(page);

const settled = async () => {
  await page.locator(".ebm-particles").first().scrollIntoViewIfNeeded(); // out of sight it does nothing
  await page.locator(".ebm-particles[data-settled]").first().waitFor({ timeout: 60000 });
};
const acts = {
  async follow({ follow, fold }) {
    const link = page.locator(follow).first();
    const name = decodeURIComponent((await link.getAttribute("href")).split("#")[1]);
    const target = page.locator(`[id="${name}"]`);
    if (fold) {
      await target.evaluate((element) => {
        const details = document.createElement("details");
        element.replaceWith(details);
        details.append(document.createElement("summary"), element);
      });
    }
    const before = await target.isVisible();
    await link.click();
    await page.waitForTimeout(300);
    const box = await target.boundingBox();
    return { before, after: await target.isVisible(), top: box?.y, text: await target.innerText() };
  },
  async search({ search }) {
    await page.keyboard.press("Control+k");
    await page.locator("#pst-search-dialog input").fill(search);
    await page.keyboard.press("Enter");
    const hits = page.locator("#search-results li a");
    await hits.first().waitFor({ timeout: 20000 });
    await page.locator(".search-summary:has-text('found')").waitFor({ timeout: 20000 });
    const names = await hits.allTextContents();
    await hits.first().click();
    const marked = page.locator("span.highlighted");
    await marked.first().waitFor({ timeout: 20000 });
    return { names, marked: await marked.count(), address: page.url() };
  },
  async switch({ switch: times }) {
    const button = page.locator(".theme-switch-button").first();
    const seen = [];
    for (let i = 0; i < times; i++) {
      await button.click();
      seen.push(await page.evaluate(() => {
        const shown = [...document.querySelectorAll(".theme-switch-button .theme-switch")]
          .filter((icon) => icon.getBoundingClientRect().width > 8);
        const { mode, theme } = document.documentElement.dataset;
        return { mode, theme, icons: shown.map((icon) => icon.dataset.mode) };
      }));
    }
    return seen;
  },
  async key({ key, on }) {
    await page.locator(on).first().focus();
    await page.keyboard.press(key);
    await page.waitForTimeout(100);
    await settled();
  },
  async trait({ trait }) {
    await settled();
    return page.locator(".ebm-particles").first().evaluate((element, name) => element.view.get(name), trait);
  },
  async unfold({ unfold }) {
    const box = page.locator(unfold).first();
    const before = await box.locator("pre").count();
    await box.locator("summary").click();
    const code = box.locator("pre");
    await code.waitFor({ timeout: 20000 });
    return { before, code: await code.innerText(), coloured: await code.locator("span").count() };
  },
  text: ({ text }) => page.locator(text).first().innerText(),
  async contrast({ contrast }) {
    await page.locator(contrast).first().waitFor({ timeout: 60000 });
    await loadAxe(page);
    return page.evaluate(async (selector) => {
      const rules = { runOnly: ["color-contrast"], preload: false };
      const { violations, passes } = await window.axe.run(selector, rules);
      return {
        passes: passes.flatMap(({ nodes }) => nodes).length,
        violations: violations.flatMap(({ nodes }) => nodes.map((node) => node.html)),
      };
    }, contrast);
  },
};
const results = [];
for (const step of wanted.steps) {
  if (step.page) await page.goto(`${wanted.top}${step.page}`, { waitUntil: "load" });
  results.push(await act(acts, step) ?? null);
}
await finish(browser, { results, ...noted });

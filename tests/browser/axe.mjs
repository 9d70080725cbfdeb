/* Visit pages in Chromium and let axe-core look at them: node axe.mjs < {"pages": [...], ...}
 *
 * Reads JSON from standard input: pages (addresses), chromium (executable), modules (a folder with
 * node_modules), modes (light, dark), width. Every page is visited in every mode, with all that is
 * folded away unfolded.
 * Prints a JSON list: per visit its address, the mode, requests, errors, how many rules passed, and
 * the violations: rule, help, and per element its selector and what is wrong with it.
 */
import { finish, launch, loadAxe, openWindow, settle, visitAll, wanted, watch } from "./session.mjs";

const browser = await launch();
const told = [];
for (const mode of wanted.modes) {
  const reduced = { colorScheme: mode, reducedMotion: "reduce" };
  const context = await openWindow(browser, 1280, 900, reduced);
  told.push(...await visitAll(context, wanted.pages, async (page, address) => {
    const noted = watch(page);
    await page.goto(address, { waitUntil: "load" });
    await page.evaluate(async () => {
      await window.MathJax?.startup?.promise;
      for (const folded of document.querySelectorAll("main details")) folded.open = true;
    });
    await settle(page, 200, 1000); // what was folded away unfolds
    await loadAxe(page);
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
    return { ...noted, ...seen };
  }));
  await context.close();
}
await finish(browser, told);

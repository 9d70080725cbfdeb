/* Visit pages in Chromium and say what they asked for: node visit.mjs < {"pages": [...], ...}
 *
 * Reads JSON from standard input: pages (addresses), chromium (executable), modules (a folder with
 * node_modules/playwright-core), dark (colour scheme), width, screenshots (by address, where the picture
 * goes; optional), javascript (false to do without), patience (how many times the usual while to stay on a
 * page; 1).
 * Prints a JSON list: per page its address, title, the requests it made, console errors, images
 * without alternative text, whether the page is wider than the window, and its figures of several panels:
 * as what part of their own width they are shown, and whether they are all there or can be moved.
 */
import { finish, launch, openWindow, settle, visitAll, wanted, watch } from "./session.mjs";

const browser = await launch();
const context = await openWindow(browser, 1280, 900);
const told = await visitAll(context, wanted.pages, async (page, address) => {
  const noted = watch(page);
  await page.goto(address, { waitUntil: "load" });
  await page.waitForTimeout(100); // the book's first page only leads on to another
  await page.waitForLoadState("load");
  const shot = wanted.screenshots?.[address];
  const patience = wanted.patience ?? 1;
  await settle(page, 300 * patience, (shot ? 3000 : 300) * patience);
  await page.evaluate(async () => {
    for (const image of document.images) image.loading = "eager";
    await Promise.all([...document.images].map((image) => image.decode().catch(() => {})));
  });
  const seen = await page.evaluate(() => ({
    title: document.title,
    math: document.querySelectorAll("mjx-container").length,
    unrendered: document.querySelectorAll(".math:not(:has(mjx-container))").length,
    withoutAlt: [...document.images].filter((image) => !image.alt.trim()).map((image) => image.src),
    broken: [...document.images].filter((image) => image.complete && !image.naturalWidth)
      .map((image) => image.src),
    dark: document.documentElement.dataset.theme === "dark",
    panels: [...document.querySelectorAll("figure img.wide")].map((image) => ({
      shown: image.getBoundingClientRect().width / parseFloat(image.style.width),
      reached: image.closest("a").scrollWidth + 1 >= image.getBoundingClientRect().width,
    })),
    tooWide: document.documentElement.scrollWidth > window.innerWidth + 1,
  }));
  if (shot) await page.screenshot({ path: shot, fullPage: true });
  return { ...noted, ...seen };
});
await finish(browser, told);

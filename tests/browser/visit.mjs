/* Visit pages in Chromium and say what they asked for: node visit.mjs < {"pages": [...], ...}
 *
 * Reads JSON from standard input: pages (addresses), chromium (executable), modules (a folder with
 * node_modules/playwright-core), dark (colour scheme), width, screenshots (by address, where the picture
 * goes; optional), javascript (false to do without).
 * Prints a JSON list: per page its address, title, the requests it made, console errors, images
 * without alternative text, and whether the page is wider than the window.
 */
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const wanted = JSON.parse(readFileSync(0, "utf8"));
const { chromium } = createRequire(`${wanted.modules}/`)("playwright-core");
const quiet = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
  "--disable-background-networking", "--disable-component-update",
];
const browser = await chromium.launch({ executablePath: wanted.chromium, args: quiet });
const context = await browser.newContext({
  viewport: { width: wanted.width ?? 1280, height: 900 },
  colorScheme: wanted.dark ? "dark" : "light",
  javaScriptEnabled: wanted.javascript !== false,
});
const told = [];
for (const address of wanted.pages) {
  const page = await context.newPage();
  const requests = [];
  const errors = [];
  page.on("request", (request) => requests.push(request.url()));
  page.on("requestfailed", (request) => errors.push(`failed: ${request.url()}`));
  page.on("response", (response) => {
    if (response.status() >= 400) errors.push(`${response.status()}: ${response.url()}`);
  });
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(address, { waitUntil: "load" });
  await page.waitForTimeout(100); // the book's first page only leads on to another
  await page.waitForLoadState("load");
  const shot = wanted.screenshots?.[address];
  const widgets = await page.locator("script[src*=html-manager]").count();
  await page.waitForTimeout(shot && widgets ? 3000 : 300); // widgets work on after the load event
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
    tooWide: document.documentElement.scrollWidth > window.innerWidth + 1,
  }));
  if (shot) await page.screenshot({ path: shot, fullPage: true });
  told.push({ address, requests, errors, ...seen });
  await page.close();
}
await browser.close();
console.log(JSON.stringify(told));

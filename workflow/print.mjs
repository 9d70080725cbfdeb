/* Print one page of HTML to PDF in Chromium: node print.mjs < {"page": ..., "pdf": ..., ...}
 *
 * Reads JSON from standard input: page (address), pdf (file to write), chromium (executable),
 * modules (a folder with node_modules/playwright-core). Widgets do not start: what they show in
 * print is their picture.
 */
import { launch, wanted } from "./chromium.mjs";

const browser = await launch();
const page = await browser.newPage({ colorScheme: "light" });
await page.route("**/html-manager/**", (route) => route.abort());
await page.goto(wanted.page, { waitUntil: "load", timeout: 120_000 });
await page.emulateMedia({ media: "print" });
await page.evaluate(async () => {
  await window.MathJax?.startup?.promise;
  for (const image of document.images) image.loading = "eager";
  // An address in this folder leads nowhere from paper, and would tell where the folder is.
  for (const link of document.querySelectorAll('a[href]:not([href^="#"])')) {
    if (link.protocol === "file:") link.removeAttribute("href");
  }
  await Promise.all([...document.images].map((image) => image.decode().catch(() => {})));
  await document.fonts.ready;
});
await page.pdf({
  path: wanted.pdf,
  format: "A4",
  scale: 0.8,
  tagged: true,
  outline: true,
  printBackground: true,
  displayHeaderFooter: true,
  headerTemplate: "<span></span>",
  footerTemplate: `<div style="width:100%;text-align:center;font-size:8px;color:#555">
    <span class="pageNumber"></span></div>`,
  margin: { top: "18mm", bottom: "18mm", left: "16mm", right: "16mm" },
});
await browser.close();

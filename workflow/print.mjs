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
// The theme hides a page's own title in print, for the twin that is taken away below.
await page.addStyleTag({ content: ".bd-article h1 { display: block !important; }" });
// A blank at a line's end would not be in the bookmark, as long as it takes no room.
await page.addStyleTag({ content: ".bd-article :is(h1, h2, h3) { white-space: break-spaces; }" });
await page.evaluate(async () => {
  await window.MathJax?.startup?.promise;
  for (const image of document.images) image.loading = "eager";
  // An address in this folder leads nowhere from paper, and would tell where the folder is.
  for (const link of document.querySelectorAll('a[href]:not([href^="#"])')) {
    if (link.protocol === "file:") link.removeAttribute("href");
  }
  // The theme repeats title and contents for its own print: they would be in the bookmarks twice.
  document.getElementById("jb-print-docs-body")?.querySelectorAll("h1, #jb-print-toc").forEach((twin) => twin.remove());
  // A table of contents of the whole book, before it: chapters and their sections, as links.
  const contents = document.createElement("nav");
  contents.className = "printed-contents";
  contents.setAttribute("aria-label", "Contents of the book");
  const heads = [...document.querySelectorAll("article h1, article h2")].filter((head) => head.closest("section[id]"));
  contents.innerHTML = "<p><strong>Contents</strong></p>";
  let chapter;
  for (const head of heads) {
    const link = document.createElement("a");
    link.href = `#${head.closest("section[id]").id}`;
    link.textContent = head.cloneNode(true).textContent.replace(/#\s*$/, "").trim();
    const item = document.createElement("li");
    item.append(link);
    if (head.tagName === "H1" || !chapter) {
      const list = document.createElement("ul");
      chapter = document.createElement("ul");
      item.append(chapter);
      list.append(item);
      contents.append(list);
    } else chapter.append(item);
  }
  for (const empty of contents.querySelectorAll("ul:empty")) empty.remove();
  document.querySelector("article h1")?.closest("section")?.before(contents);
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

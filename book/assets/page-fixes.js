/* Repairs of what the book's pages are made of, each for a reason that can be seen. */

/* 1. Over file:// a page may not read another: the search shows its hits without their summaries
      instead of failing. */
if (window.location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}

/* 2. What axe-core finds in the theme and in ipywidgets: the handle of a slider has no name and takes
      the label beside it; a name that hides the text on an element gives way to the text; the
      sidebar is no landmark; an entry of the bibliography has a role that no longer exists. */
const repairs = {
  ".noUi-handle:not([aria-label])": (handle) => {
    const label = handle.closest(".widget-inline-hbox, .jupyter-widgets")?.querySelector("label");
    if (label?.textContent.trim()) handle.setAttribute("aria-label", label.textContent.trim());
  },
  ".search-button-field[aria-label], details.hide > summary[aria-label]": (element) =>
    element.removeAttribute("aria-label"),
  ".bd-sidebar-primary:not([role])": (sidebar) => {
    sidebar.setAttribute("role", "complementary");
    sidebar.setAttribute("aria-label", "Book");
  },
  "[role=doc-biblioentry]": (entry) => entry.setAttribute("role", "listitem"),
};
const repair = () => {
  for (const [selector, mend] of Object.entries(repairs)) {
    document.querySelectorAll(selector).forEach(mend);
  }
};
document.addEventListener("DOMContentLoaded", () => {
  repair();
  new MutationObserver(repair).observe(document.body, { childList: true, subtree: true });
});

/* 3. An equation or a table wider than the window scrolls, and so the keyboard must be able to reach it. */
const scrolls = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const wide = target.scrollWidth > target.clientWidth;
    if (wide) target.setAttribute("tabindex", "0");
    else target.removeAttribute("tabindex");
    target.toggleAttribute("data-scrolls", wide);
  }
});
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("div.math, div.math > mjx-container, .pst-scrollable-table-container").forEach((box) => scrolls.observe(box));
});

/* 4. A link to code that is folded away unfolds it; not every browser does so by itself. */
const unfold = () => {
  const target = document.getElementById(decodeURIComponent(window.location.hash.slice(1)));
  const folded = target?.closest("details:not([open])");
  if (!folded) return;
  folded.open = true;
  target.scrollIntoView();
};
window.addEventListener("hashchange", unfold);
document.addEventListener("DOMContentLoaded", unfold);

/* 5. The code behind a figure or a verdict is fetched when the first of a page's boxes is opened. */
window.ebmlibSources = (codes) => {
  for (const place of document.querySelectorAll("[data-code-number]")) {
    place.outerHTML = codes[place.dataset.codeNumber];
  }
  document.querySelectorAll(".ebmlib-source pre").forEach((code) => scrolls.observe(code));
};
document.addEventListener("toggle", ({ target }) => {
  const address = target.open && target.dataset.code;
  if (!address || !document.querySelector("[data-code-number]")) return;
  if (document.querySelector(`script[src="${address}"]`)) return;
  const script = document.createElement("script");
  script.src = address;
  document.head.append(script);
}, true);

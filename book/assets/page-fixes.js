/* Repairs of what the book's pages are made of, each for a reason that can be seen. */

/* 1. Over file:// a page may not read another: the search shows its hits without their summaries
      instead of failing. */
if (window.location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}

/* 2. ipywidgets hands its labels to MathJax 2's queue and fails where that is missing; the book has
      MathJax 3, which replaces the global object when it starts. So every MathJax gets a queue, and
      it does nothing: labels of widgets are written in plain Unicode. */
let mathjax = window.MathJax;
Object.defineProperty(window, "MathJax", {
  get: () => mathjax,
  set: (value) => {
    mathjax = Object.assign(value, { Hub: { Queue() {} } });
  },
});
if (mathjax) {
  window.MathJax = mathjax;
}

/* 3. What axe-core finds in the theme and in ipywidgets: the handle of a slider has no name and takes
      the label beside it; a name that hides the text on an element gives way to the text; the
      sidebar is no landmark; an entry of the bibliography has a role that no longer exists. */
const repairs = {
  ".noUi-handle:not([aria-label])": (handle) => {
    const label = handle.closest(".widget-inline-hbox, .jupyter-widgets")?.querySelector("label");
    if (label?.textContent.trim()) handle.setAttribute("aria-label", label.textContent.trim());
  },
  ".search-button-field[aria-label], summary[aria-label]": (element) =>
    element.removeAttribute("aria-label"),
  ".theme-switch-button svg[role=img]": (icon) => {
    icon.querySelector("title")?.remove();
    icon.removeAttribute("aria-labelledby");
    icon.setAttribute("role", "presentation");
    icon.setAttribute("aria-hidden", "true");
  },
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

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

/* 3. The handle of a slider has no accessible name: it takes the label beside it. */
const nameSliders = () => {
  for (const handle of document.querySelectorAll(".noUi-handle:not([aria-label])")) {
    const label = handle.closest(".widget-inline-hbox, .jupyter-widgets")?.querySelector("label");
    if (label?.textContent.trim()) {
      handle.setAttribute("aria-label", label.textContent.trim());
    }
  }
};
document.addEventListener("DOMContentLoaded", () => {
  nameSliders();
  new MutationObserver(nameSliders).observe(document.body, { childList: true, subtree: true });
});

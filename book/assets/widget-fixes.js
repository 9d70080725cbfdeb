/* Two repairs of ipywidgets in a page without a kernel. */

/* 1. ipywidgets typesets with MathJax 2's queue; the book has MathJax 3. */
window.MathJax = Object.assign(window.MathJax || {}, {
  Hub: {
    Queue(...calls) {
      for (const call of calls) {
        const typesets = Array.isArray(call) && call[0] === "Typeset";
        if (typesets && window.MathJax.typesetPromise) {
          window.MathJax.typesetPromise(call.slice(2));
        }
      }
    },
  },
});

/* 2. A slider's handle has no accessible name: take the label beside it. */
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

/* Widgets without a kernel. The widget manager asks require.js for the module "anywidget" and derives
   the address of its icon font from its own; both lie in this book, not at a host. The root element
   knows the way to the book's top. */
const vendor = document.documentElement.dataset.content_root + "_static/vendor/";
window.requirejs.config({
  paths: {
    anywidget: vendor + "anywidget",
    "@jupyter-widgets/html-manager/dist": vendor + "html-manager",
  },
});

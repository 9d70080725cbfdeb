/* Widgets without a kernel: the widget manager asks require.js for the module "anywidget", which
   lies in this book and not at a host. The root element knows the way to the book's top. */
window.requirejs.config({
  paths: {
    anywidget: document.documentElement.dataset.content_root + "_static/vendor/anywidget",
  },
});

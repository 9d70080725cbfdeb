// Building blocks of the widgets' pages: elements, labelled controls, the theme.

let lastId = 0;

/** A number for ids that must be unique on the page. */
export function uniqueId(stem) {
  lastId += 1;
  return `ebm-${stem}-${lastId}-${Math.random().toString(36).slice(2, 8)}`;
}

/** An element with attributes (functions become listeners) and children. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** A number as a reader writes it: real minus sign, no exponent where it can be helped. */
export function formatNumber(value, digits = 3) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e5) return value.toExponential(1).replace("e+", "e").replaceAll("-", "−");
  const places = size === 0 ? digits - 1 : digits - 1 - Math.floor(Math.log10(size));
  return value.toFixed(Math.min(Math.max(places, 0), 6)).replace("-", "−");
}

/** A slider with its label and value; `set(value)` moves it without a word to `change`. */
export function slider({ label, min, max, step, toText, fromPosition, toPosition, change }) {
  const id = uniqueId("slider");
  const input = element("input", { type: "range", id, min, max, step });
  const output = element("output", { class: "ebm-value", for: id });
  const show = (value) => {
    output.textContent = toText(value);
    input.setAttribute("aria-valuetext", toText(value));
  };
  input.addEventListener("input", () => {
    const value = fromPosition(Number(input.value));
    show(value);
    change(value);
  });
  const box = element(
    "div", { class: "ebm-field ebm-wide" },
    element("div", { class: "ebm-label" }, element("label", { for: id }, label), output),
    input,
  );
  return {
    box,
    set(value) {
      input.value = toPosition(value);
      show(value);
    },
  };
}

/** A choice among [value, text] pairs as a drop-down list. */
export function dropDown({ label, change }) {
  const id = uniqueId("select");
  const select = element("select", { id, change: () => change(select.value) });
  const box = element(
    "div", { class: "ebm-field" }, element("div", { class: "ebm-label" }, element("label", { for: id }, label)),
    select,
  );
  return {
    box,
    offer(options) {
      const texts = options.map(([value, text]) => `${value} ${text}`).join("|");
      if (select.dataset.offered === texts) return;
      select.dataset.offered = texts;
      select.replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
    },
    set(value) {
      select.value = String(value);
    },
  };
}

/** A choice among [value, text] pairs, all in view: radio buttons drawn as one bar. */
export function choice({ label, options, change }) {
  const name = uniqueId("choice");
  const inputs = options.map(([value, text]) => {
    const input = element("input", { type: "radio", name, value, change: () => change(value) });
    return [value, input, element("label", {}, input, element("span", {}, text))];
  });
  const box = element(
    "fieldset", { class: "ebm-field ebm-wide" },
    element("legend", { class: "ebm-label" }, label),
    element("div", { class: "ebm-bar" }, ...inputs.map(([, , item]) => item)),
  );
  return {
    box,
    set(chosen) {
      for (const [value, input] of inputs) input.checked = value === chosen;
    },
  };
}

/** A tick box. */
export function tickBox({ label, change }) {
  const input = element("input", { type: "checkbox", change: () => change(input.checked) });
  return {
    box: element("label", { class: "ebm-tick" }, input, label),
    set(value) {
      input.checked = value;
    },
  };
}

/** A field for a whole number of at least 0, with an optional button beside it. */
export function wholeNumber({ label, max = 1e6, change, button = null }) {
  const id = uniqueId("number");
  const input = element("input", { type: "number", id, min: 0, max, step: 1, inputmode: "numeric" });
  input.addEventListener("change", () => {
    const value = Math.round(Number(input.value));
    if (input.value !== "" && value >= 0 && value <= max) change(value);
  });
  const box = element(
    "div", { class: "ebm-field" },
    element("div", { class: "ebm-label" }, element("label", { for: id }, label)),
    element("div", { class: "ebm-joined" }, input, button),
  );
  return {
    box,
    set(value) {
      input.value = value;
    },
  };
}

/** A number with its name and unit; `set(value, unit)`. */
export function figureTile(label) {
  const value = element("span", { class: "ebm-big" }, "–");
  const unit = element("span", { class: "ebm-unit" });
  return {
    box: element("div", { class: "ebm-tile" }, element("dt", {}, label), element("dd", {}, value, " ", unit)),
    set(text, unitText) {
      if (value.textContent !== text) value.textContent = text;
      if (unit.textContent !== unitText) unit.textContent = unitText;
    },
  };
}

/** "light" or "dark": what the page around says, else what the system says. */
function currentMode() {
  const { theme } = document.documentElement.dataset;
  if (theme === "dark" || theme === "light") return theme;
  const { jpThemeLight } = document.body.dataset;
  if (jpThemeLight !== undefined) return jpThemeLight === "false" ? "dark" : "light";
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** Keep `root.dataset.mode` at the page's mode; calls `change` now and then after each switch. */
export function followTheme(root, signal, change) {
  const follow = () => {
    if (root.dataset.mode === currentMode()) return;
    root.dataset.mode = currentMode();
    change();
  };
  const observer = new MutationObserver(follow);
  const attributeFilter = ["data-theme", "data-mode", "data-jp-theme-light"];
  for (const target of [document.documentElement, document.body]) {
    observer.observe(target, { attributes: true, attributeFilter });
  }
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", follow, { signal });
  signal.addEventListener("abort", () => observer.disconnect());
  follow();
}

/** The colours that the style sheet gives the drawing. */
export function coloursOf(root) {
  const style = getComputedStyle(root);
  const names = ["ink", "muted", "grid", "plot", "demo", "particle", "target", "second", "low", "high", "line"];
  const colours = Object.fromEntries(names.map((n) => [n, style.getPropertyValue(`--ebm-${n}`).trim()]));
  return { ...colours, font: style.fontFamily };
}

export function prefersStillness() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/* What making pages lighter needs from npm: node slim.mjs < {"modules": ..., "math": [...], ...}
 *
 * Reads JSON from standard input: modules (a folder with node_modules), math (a list of {tex, display, page}),
 * tex (MathJax's own options for TeX), fonts (where its fonts lie, as seen from the style sheet),
 * icons (of Font Awesome, as "fas magnifying-glass": style and name), fontawesome (the script that holds
 * them), sheets (the style sheets to be joined), style (where the joined one will lie) and content (what
 * they are for: texts of pages and scripts).
 * Prints JSON: {error} if an equation is wrong, or math (HTML per entry), mathCss, icons ({name: [width, height, path]}), css: the
 * joined sheet without the faces of the icon font and the rules that nothing in the content can use.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import vm from "node:vm";

// Nobody waits for the result when the process that asked for it is gone.
const asker = process.ppid;
setInterval(() => process.ppid === asker || process.exit(1), 500).unref();

const wanted = JSON.parse(readFileSync(0, "utf8"));
const require = createRequire(`${wanted.modules}/`);

/** Equations as MathJax would set them in the reader's browser. */
async function setMath({ math, tex, fonts }) {
  const MathJax = await require("mathjax").init({
    loader: { load: ["input/tex-full", "output/chtml", "a11y/assistive-mml"] },
    // An unknown command is an error here, not red letters in the book.
    tex: { ...tex, packages: { "[-]": ["noundefined", "noerrors"], ...tex.packages } },
    chtml: { fontURL: fonts },
    options: { enableAssistiveMml: true },
  });
  const { adaptor } = MathJax.startup;
  const set = math.map(({ tex: source, display }) => adaptor.outerHTML(
    MathJax.tex2chtml(source, { display, em: 16, ex: 8, containerWidth: 80 * 16 })));
  const wrong = set.map((html) => html.match(/data-mjx-error="([^"]*)"/)?.[1]);
  const first = wrong.findIndex(Boolean);
  if (first >= 0) {
    const { page, tex: source } = math[first];
    return { error: `${page}: MathJax does not understand '${source.trim()}': ${wrong[first]}` };
  }
  return { math: set, mathCss: adaptor.textContent(MathJax.chtmlStylesheet()) };
}

/** Outlines of icons, from the script that would put them on the page. */
function outlines({ icons, fontawesome }) {
  if (!icons.length) return {};
  const window = {};
  vm.runInNewContext(readFileSync(fontawesome, "utf8"), { window });
  const { styles } = window.___FONT_AWESOME___;
  return Object.fromEntries(icons.map((icon) => {
    const [style, name] = icon.split(" ");
    const all = styles[style] ?? {};
    const known = all[name] ?? Object.values(all).find(([, , otherNames]) => otherNames.includes(name));
    const [width, height, , , path] = known ?? [];
    return [icon, path ? [width, height, path] : null];
  }));
}

/** The style sheets as one, imports in their place, addresses as seen from the new place. */
async function join({ sheets, style }) {
  const all = sheets.map((sheet) => `@import ${JSON.stringify(sheet)};`).join("");
  const plugins = [require("postcss-import")(), require("postcss-url")({ url: "rebase" })];
  const { root } = await require("postcss")(plugins).process(all, { from: style, to: style });
  root.walkAtRules("font-face", (face) => { if (String(face).includes("fontawesome")) face.remove(); });
  root.walkComments((comment) => { if (!comment.text.startsWith("!")) comment.remove(); });
  return root.toString();
}

async function purge({ css, content }) {
  const { PurgeCSS } = require("purgecss");
  const [{ css: kept }] = await new PurgeCSS().purge({
    content: content.map((raw) => ({ raw, extension: "html" })),
    css: [{ raw: css }],
    fontFace: true,
    keyframes: true,
    variables: true,
    // Widgets make their elements when the page runs.
    safelist: { greedy: [/widget/, /ebm/], variables: [/^--jp-/] },
  });
  return kept;
}

const set = wanted.math.length ? await setMath(wanted) : { math: [], mathCss: "" };
if (!set.error) {
  set.css = await purge({ css: await join(wanted), content: [...wanted.content, ...set.math] });
  set.icons = outlines(wanted);
}
console.log(JSON.stringify(set));

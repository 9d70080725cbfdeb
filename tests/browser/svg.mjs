/* What Chromium draws of SVG files, and where: node svg.mjs < {"files": [...], ...}
 *
 * Reads JSON from standard input: files (paths), samples (points per element), chromium, modules.
 * Prints a JSON list: per file, for every shape of the document in order, its name, whether hiding it
 * changes the picture (drawn; not that of a clip path or mask), whether its computed style strokes it
 * (stroked), the matrix to the user units of the outermost element, its total length and points at equal
 * lengths in its own units; and for every <use> its matrix and bounding box.
 */
import { pathToFileURL } from "node:url";
import { finish, launch, wanted } from "./session.mjs";

const browser = await launch();
const context = await browser.newContext({ viewport: { width: 600, height: 500 }, locale: "en-US" });
const page = await context.newPage();
const picture = async () => (await page.screenshot({ omitBackground: true })).toString("base64");
const told = [];
for (const file of wanted.files) {
  await page.goto(pathToFileURL(file).href);
  const seen = await page.evaluate((samples) => {
    const root = document.documentElement;
    const inverse = root.getScreenCTM().inverse();
    const shapes = [...document.querySelectorAll("*")].filter((e) => e instanceof SVGGeometryElement);
    const numbers = ({ a, b, c, d, e, f }) => [a, b, c, d, e, f];
    const matrix = (element) => {
      const own = element.getScreenCTM();
      return own ? numbers(inverse.multiply(own)) : null;
    };
    const seenColour = (value) => value !== "none" && !/^rgba\(.*, 0\)$/.test(value);
    window.shapes = shapes;
    return {
      shapes: shapes.map((element) => {
        const style = getComputedStyle(element);
        const length = element.getTotalLength();
        const at = (i) => {
          const { x, y } = element.getPointAtLength((i * length) / samples);
          return [x, y];
        };
        return {
          name: element.localName,
          stroked: seenColour(style.stroke) && parseFloat(style.strokeWidth) > 0
            && parseFloat(style.strokeOpacity) > 0,
          matrix: matrix(element),
          region: element.closest("clipPath, mask") !== null,
          length,
          points: length > 0 ? Array.from({ length: samples + 1 }, (_, i) => at(i)) : [],
        };
      }),
      uses: [...document.querySelectorAll("use")].map((element) => {
        const { x, y, width, height } = element.getBBox();
        return { matrix: matrix(element), box: [x, y, width, height] };
      }),
    };
  }, wanted.samples);
  const before = await picture();
  for (const [i, shape] of seen.shapes.entries()) {
    await page.evaluate((i) => window.shapes[i].style.setProperty("visibility", "hidden", "important"), i);
    shape.drawn = !shape.region && (await picture()) !== before;
    await page.evaluate((i) => window.shapes[i].style.removeProperty("visibility"), i);
  }
  told.push({ file, ...seen });
}
await finish(browser, told);

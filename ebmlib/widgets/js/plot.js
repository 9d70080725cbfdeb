// A square drawing with axes of equal scale, on a canvas as sharp as the screen.

const MARGIN = { left: 40, right: 10, top: 10, bottom: 24 }; // CSS pixels

/** Tick positions at 1, 2 or 5 times a power of ten, about `count` of them. */
export function niceTicks(low, high, count) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) ticks.push(k * step);
  const places = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return ticks.map((value) => [value, value.toFixed(places).replace(/^-(?=0\.?0*$)/, "").replace("-", "−")]);
}

export class Plot {
  /** @param {HTMLCanvasElement} canvas  its CSS size rules; pixels follow the screen's density */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.view = { centre: [0, 0], half: 1 };
    this.layers = {};
  }

  /** Show [centre - half, centre + half] in both directions. */
  look(centre, half) {
    this.view = { centre, half };
  }

  /** Take the size that the canvas has on the page; false while it has none. */
  fit() {
    const width = this.canvas.clientWidth, height = this.canvas.clientHeight;
    if (!width || !height) return false;
    const ratio = Math.min(window.devicePixelRatio || 1, 3);
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== w || this.canvas.height !== h) Object.assign(this.canvas, { width: w, height: h });
    const side = Math.min(width - MARGIN.left - MARGIN.right, height - MARGIN.top - MARGIN.bottom);
    this.box = { left: MARGIN.left, top: MARGIN.top, side };
    this.ratio = ratio;
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.context.clearRect(0, 0, width, height);
    return true;
  }

  /**
   * Draw by way of a picture that is kept while `key`, the view and the size stay as they are.
   * @param {(fresh: boolean) => void} paint draws with this plot's methods; called for a new picture,
   *   or every time where `grows`, to add to the picture
   */
  layer(name, key, paint, grows = false) {
    const { canvas: main, context, view } = this;
    this.layers[name] ??= document.createElement("canvas");
    const kept = this.layers[name];
    const stamp = [key, main.width, main.height, this.ratio, view.half, ...view.centre].join("|");
    const fresh = kept.stamp !== stamp;
    if (fresh) Object.assign(kept, { stamp, width: main.width, height: main.height }); // clears it
    if (fresh || grows) {
      this.context = kept.getContext("2d");
      this.context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
      paint(fresh);
      this.context = context;
    }
    context.drawImage(kept, 0, 0, main.width / this.ratio, main.height / this.ratio);
  }

  /** Draw inside the frame only. */
  clipped(draw) {
    this.#clip();
    draw();
    this.context.restore();
  }

  #clip() {
    const { context: c, box } = this;
    c.save();
    c.beginPath();
    c.rect(box.left, box.top, box.side, box.side);
    c.clip();
  }

  #border(colours) {
    const { context: c, box } = this;
    c.strokeStyle = colours.demo;
    c.lineWidth = 1;
    c.strokeRect(box.left + 0.5, box.top + 0.5, box.side - 1, box.side - 1);
  }

  /** The axes; what follows is drawn inside the frame only, until `close`. */
  frame(colours, names) {
    this.axes(colours, names);
    this.#clip();
  }

  /** End what `frame` began. */
  close(colours) {
    this.context.restore();
    this.#border(colours);
  }

  get scale() {
    return this.box.side / (2 * this.view.half);
  }

  x(value) {
    return this.box.left + (value - this.view.centre[0] + this.view.half) * this.scale;
  }

  y(value) {
    return this.box.top + (this.view.centre[1] + this.view.half - value) * this.scale;
  }

  /** The point of the plane under a place on the canvas (CSS pixels). */
  at(px, py) {
    const { centre, half } = this.view;
    return [
      (px - this.box.left) / this.scale + centre[0] - half,
      centre[1] + half - (py - this.box.top) / this.scale,
    ];
  }

  /** Ground, grid, border, tick labels and axis names. */
  axes(colours, names, ground = null) {
    const { context: c, view: { centre, half }, box } = this;
    c.fillStyle = colours.plot;
    c.fillRect(box.left, box.top, box.side, box.side);
    if (ground) this.clipped(ground);
    c.font = `11px ${colours.font}`;
    c.lineWidth = 1;
    c.strokeStyle = colours.grid;
    c.fillStyle = colours.muted;
    const count = box.side > 260 ? 5 : 4;
    c.textAlign = "center";
    c.textBaseline = "top";
    c.beginPath();
    for (const [value, text] of niceTicks(centre[0] - half, centre[0] + half, count)) {
      c.moveTo(this.x(value), box.top);
      c.lineTo(this.x(value), box.top + box.side);
      if (this.x(value) < box.left + box.side - 26) c.fillText(text, this.x(value), box.top + box.side + 6);
    }
    c.textAlign = "right";
    c.textBaseline = "middle";
    for (const [value, text] of niceTicks(centre[1] - half, centre[1] + half, count)) {
      c.moveTo(box.left, this.y(value));
      c.lineTo(box.left + box.side, this.y(value));
      if (this.y(value) > box.top + 20) c.fillText(text, box.left - 6, this.y(value));
    }
    c.stroke();
    c.font = `italic 12px ${colours.font}`;
    c.fillStyle = colours.ink;
    c.textBaseline = "top";
    c.fillText(names[0], box.left + box.side, box.top + box.side + 5);
    c.fillText(names[1], box.left - 6, box.top);
    this.#border(colours);
  }

  /** A line through count points of an array of (x, y) numbers. */
  line(points, { colour, width = 1, alpha = 1, from = 0, count = points.length / 2 - from, dash = [] }) {
    const { context: c } = this;
    c.strokeStyle = colour;
    c.lineWidth = width;
    c.globalAlpha = alpha;
    c.lineJoin = c.lineCap = "round";
    c.setLineDash(dash);
    c.beginPath();
    for (let i = from; i < from + count; i++) c.lineTo(this.x(points[2 * i]), this.y(points[2 * i + 1]));
    c.stroke();
    c.setLineDash([]);
    c.globalAlpha = 1;
  }

  /** Filled dots at count points. `shift(i)`, if given, is added to the i-th. */
  dots(points, { colour, radius, alpha = 1, count = points.length / 2, shift = null, edge = null }) {
    const { context: c } = this;
    c.fillStyle = colour;
    c.globalAlpha = alpha;
    c.beginPath();
    for (let i = 0; i < count; i++) {
      const [dx, dy] = shift ? shift(i) : [0, 0];
      const px = this.x(points[2 * i] + dx), py = this.y(points[2 * i + 1] + dy);
      c.moveTo(px + radius, py);
      c.arc(px, py, radius, 0, 2 * Math.PI);
    }
    c.fill();
    c.globalAlpha = 1;
    if (edge) {
      c.strokeStyle = edge;
      c.lineWidth = 0.5;
      c.stroke();
    }
  }

  /** A ring with a halo that sets it off from what lies under it; `radius` in pixels. */
  ring(point, { colour, halo, radius, width = 2 }) {
    const { context: c } = this;
    for (const [style, w] of [[halo, width + 3], [colour, width]]) {
      c.strokeStyle = style;
      c.lineWidth = w;
      c.beginPath();
      c.arc(this.x(point[0]), this.y(point[1]), radius, 0, 2 * Math.PI);
      c.stroke();
    }
  }

  /** A cross (x) with a halo; `radius` in pixels. */
  cross(point, { colour, halo, radius, width = 2.5 }) {
    const { context: c } = this;
    const px = this.x(point[0]), py = this.y(point[1]);
    c.lineCap = "round";
    for (const [style, w] of [[halo, width + 3], [colour, width]]) {
      c.strokeStyle = style;
      c.lineWidth = w;
      c.beginPath();
      for (const s of [-1, 1]) {
        c.moveTo(px - radius, py - s * radius);
        c.lineTo(px + radius, py + s * radius);
      }
      c.stroke();
    }
  }

  /** A circle in the units of the plane. */
  circle(centre, radius, { colour, dash = [], width = 1 }) {
    const { context: c } = this;
    c.strokeStyle = colour;
    c.lineWidth = width;
    c.setLineDash(dash);
    c.beginPath();
    c.arc(this.x(centre[0]), this.y(centre[1]), radius * this.scale, 0, 2 * Math.PI);
    c.stroke();
    c.setLineDash([]);
  }

  /** Segments x0, y0, x1, y1, ... of several lists. */
  segments(lists, colour) {
    const { context: c } = this;
    c.strokeStyle = colour;
    c.lineWidth = 1;
    c.beginPath();
    for (const list of lists) {
      for (let i = 0; i < list.length; i += 4) {
        c.moveTo(this.x(list[i]), this.y(list[i + 1]));
        c.lineTo(this.x(list[i + 2]), this.y(list[i + 3]));
      }
    }
    c.stroke();
  }

  /** An image that fills [-radius, radius] in both directions around the origin. */
  image(picture, radius) {
    const { context: c } = this;
    c.imageSmoothingEnabled = true;
    c.imageSmoothingQuality = "high";
    const side = 2 * radius * this.scale;
    c.drawImage(picture, this.x(-radius), this.y(radius), side, side);
  }

  /** Small text in the lower right corner of the frame. */
  note(text, colours) {
    const { context: c, box } = this;
    c.font = `11px ${colours.font}`;
    c.textAlign = "right";
    c.textBaseline = "bottom";
    const px = box.left + box.side - 7, py = box.top + box.side - 6;
    c.lineWidth = 3;
    c.lineJoin = "round";
    c.strokeStyle = colours.plot;
    c.strokeText(text, px, py);
    c.fillStyle = colours.ink;
    c.fillText(text, px, py);
  }
}

function rgb(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

/** Shades (points^2 numbers in [0, 1], first component slowest) as a picture from `low` to `high`. */
export function heatPicture(shades, points, low, high) {
  const [from, to] = [rgb(low), rgb(high)];
  const picture = document.createElement("canvas");
  Object.assign(picture, { width: points, height: points });
  const context = picture.getContext("2d");
  const image = context.createImageData(points, points);
  for (let i = 0; i < points; i++) {
    for (let j = 0; j < points; j++) {
      const shade = shades[i * points + j];
      const at = 4 * ((points - 1 - j) * points + i);
      for (let k = 0; k < 3; k++) image.data[at + k] = from[k] + shade * (to[k] - from[k]);
      image.data[at + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
  return picture;
}

/**
 * Line segments where values on the grid of `gridActions` equal a level (marching squares).
 * @returns {number[]} x0, y0, x1, y1 of every segment, in units of the plane
 */
export function isoline(values, points, radius, level) {
  const spacing = (2 * radius) / points;
  const place = (k) => -radius + spacing * (k + 0.5);
  const segments = [];
  for (let i = 0; i + 1 < points; i++) {
    for (let j = 0; j + 1 < points; j++) {
      const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]];
      const v = corners.map(([p, q]) => values[p * points + q] - level);
      const crossings = [];
      for (let e = 0; e < 4; e++) {
        const [one, two] = [v[e], v[(e + 1) % 4]];
        if (one > 0 === two > 0) continue;
        const t = one / (one - two);
        const [a, b] = [corners[e], corners[(e + 1) % 4]];
        crossings.push(place(a[0] + t * (b[0] - a[0])), place(a[1] + t * (b[1] - a[1])));
      }
      if (crossings.length === 4) segments.push(...crossings);
      else if (crossings.length === 8) {
        // a saddle: the middle decides which corners belong together
        const swap = v[0] + v[1] + v[2] + v[3] > 0 === v[0] > 0;
        const [p, q, r, s] = [0, 2, 4, 6].map((at) => crossings.slice(at, at + 2));
        segments.push(...(swap ? [...p, ...q, ...r, ...s] : [...s, ...p, ...q, ...r]));
      }
    }
  }
  return segments;
}

// What a reader draws: strokes with time stamps, their normalisation (section 3.1) and their SVG.
//
// A stroke is {points: [[x, y], ...], times: [t, ...]} with y upwards and times in milliseconds since
// its first point, as ebmlib.demonstrations.svg.Drawing has them. Normalised trajectories are flat doubles,
// [x0, y0, x1, y1, ...]. The counterparts of ebmlib's polyline.py, preprocessing.py, svg.py, metrics.py.

export const LENGTH = 2 * Math.PI;
export const SHORTEST = 8; // units of the drawing area: what is shorter is a tap, not a stroke

const ONSET = 20; // milliseconds between a pen at rest and its first movement, at most

const toDecimals = (value, scale) => Math.round(value * scale) / scale + 0; // + 0 turns -0 into 0

/** A stroke under way: samples come in, repeated time stamps and the rest before the start go out. */
export class StrokeRecorder {
  constructor() {
    this.points = [];
    this.times = [];
  }

  /** One sample; t in milliseconds on any clock that does not run backwards. */
  add(x, y, t) {
    const point = [toDecimals(x, 100), toDecimals(y, 100)];
    const last = this.points.length - 1;
    if (last >= 0 && t <= this.times[last]) {
      if (last > 0) this.points[last] = point; // two samples of one instant: the later one counts
      return;
    }
    if (last === 0 && point[0] === this.points[0][0] && point[1] === this.points[0][1]) {
      this.times[0] = t; // the pen has not moved yet: the demonstration begins when it does
      return;
    }
    if (last === 0) this.times[0] = Math.max(this.times[0], t - ONSET); // nor does it tell while it rests
    this.points.push(point);
    this.times.push(t);
  }

  /** The finished stroke, or null where the pen was only put down. */
  finish() {
    const first = this.times[0];
    // One decimal is finer than any pointer's clock; samples that it no longer tells apart are dropped.
    const points = [], times = [];
    this.times.forEach((t, i) => {
      const rounded = toDecimals(t - first, 10);
      if (times.length && rounded <= times.at(-1)) return;
      points.push(this.points[i]);
      times.push(rounded);
    });
    return points.length > 1 && pathLength(points.flat()) >= SHORTEST ? { points, times } : null;
  }
}

/** Sum of the step lengths of flat positions (n, 2). */
export function pathLength(flat) {
  let total = 0;
  for (let i = 2; i < flat.length; i += 2) total += Math.hypot(flat[i] - flat[i - 2], flat[i + 1] - flat[i - 1]);
  return total;
}

/** Flat positions at `steps` + 1 equal ticks of time, linear between the samples. */
export function resampleByTime({ points, times }, steps) {
  const out = new Float64Array(2 * (steps + 1));
  const begin = times[0], end = times.at(-1);
  for (let j = 0, at = 0; j <= steps; j++) {
    const tick = j === steps ? end : begin + (j * (end - begin)) / steps;
    while (at < times.length - 2 && times[at + 1] <= tick) at++;
    const share = (tick - times[at]) / (times[at + 1] - times[at]);
    for (let i = 0; i < 2; i++) {
      out[2 * j + i] = points[at][i] + share * (points[at + 1][i] - points[at][i]);
    }
  }
  return out;
}

/**
 * Strokes as demonstrations: resampled uniformly in time, moved to the origin, scaled to length 2 pi
 * each, or `together` by one factor, so that this is their mean length.
 * One stroke alone is a reference path, whose scale is that of the curve as drawn.
 * @returns {{trajectories: Float64Array[], scales: number[], maxStep: number, eps: number}} eps is the
 *   radius of the action set, twice the longest step (section 3.2)
 */
export function normalise(strokes, steps, together = false) {
  const sampled = strokes.map((stroke) => resampleByTime(stroke, steps));
  const lengths = sampled.map((line, i) => pathLength(strokes.length === 1 ? strokes[i].points.flat() : line));
  const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
  const scales = lengths.map((length) => LENGTH / (together ? mean : length));
  const trajectories = sampled.map((line, at) => {
    const [x, y] = strokes[at].points[0];
    return line.map((value, i) => (value - (i % 2 ? y : x)) * scales[at]);
  });
  let maxStep = 0;
  for (const states of trajectories) {
    for (let i = 2; i < states.length; i += 2) {
      maxStep = Math.max(maxStep, Math.hypot(states[i] - states[i - 2], states[i + 1] - states[i - 1]));
    }
  }
  return { trajectories, scales, maxStep, eps: 2 * maxStep };
}

/** Six significant digits (or `digits`) without trailing zeros, as printf's %g writes them. */
function general(value, digits = 6) {
  return String(Number(value.toPrecision(digits)));
}

/** The drawing as an SVG file that ebmlib reads, as ebmlib.demonstrations.svg.write_svg writes it. */
export function svgText(strokes, title = "") {
  let low = [Infinity, Infinity], high = [-Infinity, -Infinity];
  const lines = strokes.map(({ points, times }) => {
    for (const point of points) {
      low = low.map((value, i) => Math.min(value, point[i]));
      high = high.map((value, i) => Math.max(value, point[i]));
    }
    const data = points.map(([x, y]) => `${x} ${0 - y}`).join(" L"); // y downwards, as SVG has it
    return `  <path d="M${data}" data-t="${times.join(" ")}"/>`;
  });
  const margin = 0.05 * Math.max(high[0] - low[0], high[1] - low[1]);
  const box = [low[0] - margin, -high[1] - margin, high[0] - low[0] + 2 * margin, high[1] - low[1] + 2 * margin];
  const escaped = title.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${box.map((value) => general(value)).join(" ")}">`,
    ...(title ? [`  <title>${escaped}</title>`] : []),
    `  <g fill="none" stroke="#1f4e79" stroke-width="${general(0.1 * margin, 3)}">`,
    ...lines, "  </g>", "</svg>", "",
  ].join("\n");
}

/**
 * Dynamic time warping: the mean distance along the best monotone pairing of two flat paths, which
 * respects order (metrics.dtw_per_point). D_ij = d_ij + min(D_{i-1,j-1}, D_{i-1,j}, D_{i,j-1}), divided
 * by the number of pairs; of equal sums the shorter pairing counts.
 */
export function dtwPerPoint(one, other) {
  const n = one.length / 2, m = other.length / 2;
  let before = new Float64Array(m + 1).fill(Infinity), counted = new Float64Array(m + 1);
  let cost = new Float64Array(m + 1), pairs = new Float64Array(m + 1);
  before[0] = 0;
  for (let i = 0; i < n; i++) {
    cost[0] = Infinity;
    pairs[0] = 0;
    for (let j = 0; j < m; j++) {
      const best = Math.min(before[j], before[j + 1], cost[j]);
      let count = Infinity;
      if (before[j] === best) count = Math.min(count, counted[j]);
      if (before[j + 1] === best) count = Math.min(count, counted[j + 1]);
      if (cost[j] === best) count = Math.min(count, pairs[j]);
      cost[j + 1] = Math.hypot(one[2 * i] - other[2 * j], one[2 * i + 1] - other[2 * j + 1]) + best;
      pairs[j + 1] = count + 1;
    }
    [before, cost] = [cost, before];
    [counted, pairs] = [pairs, counted];
  }
  return before[m] / counted[m];
}

/**
 * `copies` noisy copies of a flat path: Gaussian noise of standard deviation `sigma` on every
 * position but the first, as ebmlib.demonstrations.preprocessing adds it.
 */
export function noisyCopies(clean, copies, sigma, random) {
  const noise = new Float64Array(clean.length);
  return Array.from({ length: copies }, () => {
    random.fillNormal(noise);
    return clean.map((value, i) => (i < 2 ? value : value + sigma * noise[i]));
  });
}

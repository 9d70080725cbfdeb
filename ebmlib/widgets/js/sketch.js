// What the recorder draws: the drawing area, the normalised demonstrations, the course of training.

import { drawCurve } from "./curve.js";
import { formatNumber } from "./page.js";
import { AREA } from "./pen.js";
import { LENGTH } from "./strokes.js";

const BALL = Array.from({ length: 202 }, (_, i) => (i % 2 ? Math.sin : Math.cos)((Math.floor(i / 2) * Math.PI) / 50));
const PROMPT = "Draw the same movement several times";

/** The drawing area: strokes, the one under way, and the pen where the keyboard holds it. */
export function drawPad({ pad, pen, strokes, colours }) {
  const width = pad.clientWidth, height = pad.clientHeight;
  if (!width) return;
  const ratio = Math.min(window.devicePixelRatio || 1, 3);
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (pad.width !== w || pad.height !== h) Object.assign(pad, { width: w, height: h });
  const c = pad.getContext("2d");
  const scale = w / AREA.width;
  c.setTransform(scale, 0, 0, scale, 0, 0);
  c.clearRect(0, 0, AREA.width, AREA.height);
  const unit = AREA.width / width; // of a CSS pixel
  Object.assign(c, { lineJoin: "round", lineCap: "round" });
  const lines = [...strokes.map(({ points }) => points), pen.points];
  lines.forEach((points, number) => {
    if (!points.length) return;
    c.strokeStyle = number === lines.length - 1 ? colours.particle : colours.ink;
    c.fillStyle = colours.target;
    c.lineWidth = 2 * unit;
    c.beginPath();
    for (const [x, y] of points) c.lineTo(x, -y);
    c.stroke();
    c.beginPath();
    c.arc(points[0][0], -points[0][1], 4 * unit, 0, 2 * Math.PI);
    c.fill();
  });
  if (!strokes.length && !pen.points.length) {
    Object.assign(c, { fillStyle: colours.muted, font: `${15 * unit}px ${colours.font}`, textAlign: "center" });
    c.fillText(PROMPT, AREA.width / 2, AREA.height / 2 - 30 * unit);
  }
  if (document.activeElement === pad && pen.byKeyboard) {
    const [x, y] = pen.position;
    c.strokeStyle = pen.points.length ? colours.particle : colours.muted;
    c.lineWidth = 2 * unit;
    c.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      c.moveTo(x + 4 * unit * dx, y + 4 * unit * dy);
      c.lineTo(x + 11 * unit * dx, y + 11 * unit * dy);
    }
    c.stroke();
  }
}

/** The strokes as training data, and what the policy makes of them. */
export function drawNormalised({ plot, colours, normalised, trajectories, distance }) {
  if (!plot.fit()) return;
  const lines = normalised?.trajectories ?? [];
  const eps = normalised?.eps ?? 0;
  const low = [-eps, -eps], high = [eps, eps];
  for (const line of lines) {
    line.forEach((value, i) => {
      low[i % 2] = Math.min(low[i % 2], value);
      high[i % 2] = Math.max(high[i % 2], value);
    });
  }
  const half = 0.55 * Math.max(high[0] - low[0], high[1] - low[1]) || 1;
  plot.look([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2], half);
  plot.axes(colours, ["x₁", "x₂"]);
  plot.clipped(() => {
    for (const line of lines) {
      plot.line(line, { colour: colours.demo, width: 1.4 });
      plot.dots(line, { colour: colours.demo, radius: 1.8 });
    }
    plot.line(BALL.map((value) => eps * value), { colour: colours.second, dash: [5, 4], width: 1.5 });
    for (const line of trajectories) {
      plot.line(line, { colour: colours.plot, width: 5, alpha: 0.7 });
      plot.line(line, { colour: colours.particle, width: 2.2 });
    }
    const ends = trajectories.flatMap((line) => line.slice(-2));
    plot.dots(ends, { colour: colours.particle, radius: 4, edge: colours.plot });
    if (lines.length) plot.ring([0, 0], { colour: colours.ink, halo: colours.plot, radius: 4 });
  });
  const close = Number.isFinite(distance) ? `, ${formatNumber(distance, 2)} from the nearest demonstration in order and time` : "";
  const shown = `${trajectories.length} ${trajectories.length === 1 ? "trajectory" : "trajectories"}`;
  plot.canvas.setAttribute("aria-label", `${lines.length} normalised demonstrations, the action set around the `
    + `origin, and ${shown} of the policy${close}`);
}

/** Curves and numbers of the training. */
export function drawTraining(recorder) {
  const { colours, losses, distances, floor, seconds, distance, tiles, loss, course } = recorder;
  const { epochs, shown_every: every } = recorder.settings;
  drawCurve(loss, colours, { values: losses, level: 0, length: epochs });
  // a picture's distance stands until the next one
  const held = distances.flatMap((value, at) => Array(at * every < epochs ? every : 0).fill(value)).slice(0, Math.max(losses.length, 1));
  const shown = distances.length > 1 ? held : [];
  drawCurve(course, colours, { values: shown, level: Number.isFinite(floor) ? floor : 0, length: epochs });
  const n = losses.length;
  tiles.epochs.set(String(n), n ? `of ${epochs}` : "");
  tiles.seconds.set(n ? formatNumber(seconds, 2) : "–", n ? "s" : "");
  const times = Number.isFinite(distance / floor) ? `${formatNumber(distance / floor, 2)} × that between strokes` : "";
  tiles.distance.set(formatNumber(distance, 2), times || (Number.isFinite(distance)
    ? `= ${formatNumber((100 * distance) / LENGTH, 2)} % of length` : ""));
  tiles.floor.set(formatNumber(floor, 2), "");
  loss.setAttribute("aria-label", `Loss over ${n} updates${n ? `, now ${formatNumber(losses.at(-1), 2)}` : ""}`);
  course.setAttribute("aria-label", `Distance to the drawing over ${n} updates`
    + `${Number.isFinite(distance) ? `, now ${formatNumber(distance, 2)}` : ""}`);
}

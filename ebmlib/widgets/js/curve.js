// A curve over training: loss, or R.

import { niceTicks } from "./plot.js";

const EDGE = { left: 50, right: 8, top: 8, bottom: 22 }; // CSS pixels

/** Values in at most `count` groups of neighbours, their means. */
function thinned(values, count) {
  const groups = Math.min(values.length, count);
  return Array.from({ length: groups }, (_, g) => {
    const part = values.slice(Math.floor((g * values.length) / groups), Math.floor(((g + 1) * values.length) / groups));
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
}

/**
 * Draw values over their index on a canvas, thinned to its width, with a dashed line at `level`.
 * @param {number} length how far the horizontal axis reaches
 */
export function drawCurve(canvas, colours, { values, level, length }) {
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (!width || !height) return;
  const ratio = Math.min(window.devicePixelRatio || 1, 3);
  Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
  const c = canvas.getContext("2d");
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  const box = { x: EDGE.left, y: EDGE.top, w: width - EDGE.left - EDGE.right, h: height - EDGE.top - EDGE.bottom };
  const means = thinned(values, Math.floor(box.w / 2));
  const range = Math.max(level, ...means) - Math.min(level, ...means);
  const room = 0.1 * Math.max(range, 0.5 * Math.abs(level), values.length ? 1e-3 : 1);
  const low = Math.min(level, ...means) - room, high = Math.max(level, ...means) + room;
  const x = (epoch) => box.x + (epoch / length) * box.w;
  const y = (value) => box.y + ((high - value) / (high - low)) * box.h;
  c.fillStyle = colours.plot;
  c.fillRect(box.x, box.y, box.w, box.h);
  Object.assign(c, { font: `11px ${colours.font}`, fillStyle: colours.muted, lineWidth: 1, lineJoin: "round" });
  const stroke = (colour, path) => {
    c.strokeStyle = colour;
    c.beginPath();
    path();
    c.stroke();
  };
  stroke(colours.grid, () => {
    Object.assign(c, { textAlign: "right", textBaseline: "middle" });
    for (const [value, text] of niceTicks(low, high, 3)) {
      c.moveTo(box.x, y(value));
      c.lineTo(box.x + box.w, y(value));
      c.fillText(text, box.x - 6, y(value));
    }
    Object.assign(c, { textAlign: "center", textBaseline: "top" });
    for (const [epoch, text] of niceTicks(0, length, 4)) {
      c.moveTo(x(epoch), box.y);
      c.lineTo(x(epoch), box.y + box.h);
      c.fillText(text, Math.min(x(epoch), width - 16), box.y + box.h + 6);
    }
  });
  c.setLineDash([4, 4]);
  stroke(colours.muted, () => {
    c.moveTo(box.x, y(level));
    c.lineTo(box.x + box.w, y(level));
  });
  c.setLineDash([]);
  c.lineWidth = 1.5;
  stroke(colours.particle, () => {
    means.forEach((value, g) => c.lineTo(x(((g + 0.5) * values.length) / means.length), y(value)));
  });
  c.lineWidth = 1;
  stroke(colours.demo, () => c.rect(box.x + 0.5, box.y + 0.5, box.w - 1, box.h - 1));
}

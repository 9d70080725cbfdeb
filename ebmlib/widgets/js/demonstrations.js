// The demonstrations in the page, and what they demonstrate near a state.

import { decodeFloat32 } from "./encoding.js";

export class Demonstrations {
  /** From the JSON of ebmlib.widgets.export.export_demonstrations (two dimensions). */
  constructor(data) {
    const positions = decodeFloat32(data.positions);
    let from = 0;
    this.name = data.name;
    this.eps = data.eps;
    this.maxStep = data.max_step;
    this.paths = data.counts.map((count) => positions.subarray(2 * from, 2 * (from += count)));
    let length = 0, steps = 0;
    for (const path of this.paths) {
      for (let j = 2; j < path.length; j += 2) {
        length += Math.hypot(path[j] - path[j - 2], path[j + 1] - path[j - 1]);
        steps += 1;
      }
    }
    this.step = length / steps; // mean length of a step
    const xs = positions.filter((_, i) => i % 2 === 0), ys = positions.filter((_, i) => i % 2 === 1);
    const [x0, x1, y0, y1] = [xs, ys].flatMap((v) => [Math.min(...v), Math.max(...v)]);
    this.centre = [(x0 + x1) / 2, (y0 + y1) / 2];
    this.half = Math.max(x1 - x0, y1 - y0) / 2;
  }

  /** The state a quarter of the way along the first demonstration. */
  someState() {
    const path = this.paths[0];
    const j = 2 * Math.floor(path.length / 8);
    return [path[j], path[j + 1]];
  }

  /** `count` states spread over the length of the demonstrations, taken from one after the other. */
  statesAlong(count) {
    const out = new Float64Array(2 * count);
    for (let i = 0; i < count; i++) {
      const path = this.paths[i % this.paths.length];
      const j = Math.floor((i * (path.length / 2 - 1)) / count);
      out.set(path.subarray(2 * j, 2 * j + 2), 2 * i);
    }
    return out;
  }

  /**
   * The actions demonstrated near a state: of every demonstration that comes about as near as the
   * nearest one (within a step), the action at its nearest state; and the mean of these.
   */
  near(x, y) {
    const found = this.paths.map((path) => {
      let best = Infinity, at = 0;
      for (let j = 0; j + 3 < path.length; j += 2) {
        const square = (path[j] - x) ** 2 + (path[j + 1] - y) ** 2;
        if (square < best) [best, at] = [square, j];
      }
      return { distance: Math.sqrt(best), action: [path[at + 2] - path[at], path[at + 3] - path[at + 1]] };
    });
    const nearest = Math.min(...found.map(({ distance }) => distance));
    const actions = found.filter(({ distance }) => distance <= nearest + this.maxStep).map((f) => f.action);
    const mean = [0, 1].map((i) => actions.reduce((sum, a) => sum + a[i], 0) / actions.length);
    return { actions, mean };
  }

  /** Distance of a point to the nearest demonstrated path (polylines). */
  distance(x, y) {
    let best = Infinity;
    for (const path of this.paths) {
      for (let j = 0; j + 3 < path.length; j += 2) {
        const [ax, ay, bx, by] = path.subarray(j, j + 4);
        const square = (bx - ax) ** 2 + (by - ay) ** 2;
        const t = square ? Math.min(1, Math.max(0, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / square)) : 0;
        best = Math.min(best, (x - ax - t * (bx - ax)) ** 2 + (y - ay - t * (by - ay)) ** 2);
      }
    }
    return Math.sqrt(best);
  }
}

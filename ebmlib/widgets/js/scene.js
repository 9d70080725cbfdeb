// The two drawings of the particle explorer: positions over the demonstrations, actions over what
// the model says about them.

import { formatNumber } from "./page.js";
import { drawDemonstrations } from "./parts.js";
import { Plot, heatPicture, isoline } from "./plot.js";

const TRAILS = 30; // particles that leave one
const ENERGY_LEVELS = [1, 2, 3, 4, 5, 6, 7].map((k) => k / 8); // of the range in view
const DENSITY_LEVELS = [0.05, 0.5]; // of the highest value
let grounds = 0;

/**
 * What lies behind the actions.
 * @param {{f: Float32Array, logZ: number, points: number, radius: number}} density of the engine
 * @param {boolean} energy draw E = -T f, else p = exp(f) / Z
 * @returns {object} picture and level lines; name, left, right and unit of its scale
 */
export function groundOf({ f, logZ, points, radius }, energy, temperature, colours) {
  const values = f.map((v) => (energy ? -temperature * v : Math.exp(v - logZ)));
  const low = energy ? values.reduce((a, b) => Math.min(a, b)) : 0;
  const high = values.reduce((a, b) => Math.max(a, b));
  const range = high - low || 1;
  // low energy is where particles go: it is drawn as dense as high density
  const shades = values.map((v) => (energy ? (high - v) / range : v / range));
  const levels = (energy ? ENERGY_LEVELS : DENSITY_LEVELS).map((part) => low + part * range);
  const [left, right] = (energy ? [high, low] : [low, high]).map((v) => formatNumber(v));
  grounds += 1;
  return {
    number: grounds, energy, radius, left, right,
    name: energy ? "energy E(x, a)" : "p(a | x)", unit: energy ? "" : "per area",
    picture: heatPicture(shades, points, colours.low, colours.high),
    lines: levels.map((level) => isoline(values, points, radius, level)),
  };
}

export class ParticleScene {
  constructor(positions, actions) {
    this.positions = new Plot(positions);
    this.actions = new Plot(actions);
    this.trailed = 0; // step up to which trails are drawn
    this.rewinds = 0;
  }

  /** Take the page's size; false while there is none. */
  fit() {
    return this.positions.fit() && this.actions.fit();
  }

  /**
   * @param {object} view colours, mode; data (Demonstrations); alone (one state, or many); states,
   *   perState; near (what is demonstrated at each state); frames, shown; means (of the particles at
   *   each state); run (number of the chains); reach (half the action panel); ground or null; trail
   */
  draw(view) {
    this.#drawPositions(view);
    this.#drawActions(view);
  }

  #drawPositions({ colours, mode, data, alone, states, perState, near, frames, shown, means }) {
    const plot = this.positions;
    plot.look(data.centre, 1.3 * data.half);
    plot.layer("still", `${data.name} ${mode}`, () => drawDemonstrations(plot, colours, data));
    const frame = frames[shown];
    if (!frame) return;
    const shift = (i) => {
      const at = 2 * Math.floor(i / perState);
      return [states[at], states[at + 1]];
    };
    plot.clipped(() => {
      plot.dots(frame, { colour: colours.particle, radius: alone ? 1.6 : 2, alpha: 0.75, shift });
      if (!alone) return;
      const [x, y] = states;
      for (const [[dx, dy], colour] of [[near[0].mean, colours.target], [means, colours.ink]]) {
        plot.line([x, y, x + dx, y + dy], { colour, width: 2 });
      }
    });
  }

  #drawActions(view) {
    const { colours, mode, alone, near, frames, shown, means, reach, ground } = view;
    const plot = this.actions;
    plot.look([0, 0], reach);
    plot.layer("still", `${ground?.number} ${mode}`, () => {
      plot.axes(colours, ["a₁", "a₂"], ground && (() => {
        plot.image(ground.picture, ground.radius);
        if (ground.energy) plot.segments(ground.lines, colours.line);
      }));
    });
    const frame = frames[shown];
    if (!frame) return;
    plot.clipped(() => {
      if (view.trail) this.#drawTrails(view);
      plot.dots(frame, { colour: colours.particle, radius: 2.2, alpha: 0.85, edge: colours.plot });
      const demonstrated = near.flatMap(({ actions, mean }) => (alone ? actions.flat() : mean));
      plot.dots(demonstrated, { colour: colours.target, radius: 2.4, edge: colours.plot });
      // the particles would hide the levels of a density
      if (ground && !ground.energy) plot.segments(ground.lines, colours.line);
      if (!alone) return;
      plot.ring(means, { colour: colours.ink, halo: colours.plot, radius: 6 });
      plot.cross(near[0].mean, { colour: colours.target, halo: colours.plot, radius: 6 });
    });
    let outside = 0;
    for (let i = 0; i < frame.length; i += 2) {
      if (Math.max(Math.abs(frame[i]), Math.abs(frame[i + 1])) > reach) outside += 1;
    }
    if (outside) plot.note(`${outside} of ${frame.length / 2} outside`, colours);
  }

  /** Paths of some particles up to the step on display; only what is new is drawn. */
  #drawTrails({ colours, mode, frames, shown, run }) {
    const plot = this.actions;
    const n = frames[shown].length / 2;
    const every = Math.max(1, Math.floor(n / TRAILS));
    if (this.trailed > shown) this.rewinds += 1; // back in time: begin again
    plot.layer("trails", `${run} ${this.rewinds} ${mode}`, (fresh) => {
      const from = fresh ? 0 : this.trailed;
      this.trailed = shown;
      if (from >= shown) return;
      plot.clipped(() => {
        for (let p = 0; p < n; p += every) {
          const path = [];
          for (let k = from; k <= shown; k++) path.push(frames[k][2 * p], frames[k][2 * p + 1]);
          plot.line(path, { colour: colours.particle, width: 0.8, alpha: 0.4 });
        }
      });
    }, true);
  }
}

// A kernel density of the demonstrated actions (ebmlib's models/kernel_density.py), and what it says
// of a drawing: how wide the noise of training is to be, and whether the state needs a clock.

import { dtwPerPoint } from "./strokes.js";

const LADDER = [2, 1.41, 1.19]; // factors by which widths are varied, coarse to fine
const NARROWEST = 0.01, WIDEST = 4;
const QUERIES = 200, MOST_TERMS = 150000; // left-out actions, and kernels evaluated for all of them
const ALONE = 3; // a stroke this many times farther from the others is not left out
const FORKED = 4; // times the distance within branches that they are apart
const MARGIN = 1.3; // a clock may be this much farther from a left-out demonstration
const MOST_LEFT_OUT = 7;

/** The middle value, or the mean of the two in the middle. */
export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b), half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};

/** All pairs: states (position, then the elapsed fraction if `clock`), actions, and whose they are. */
export function pairsOf(trajectories, clock) {
  const dx = clock ? 3 : 2;
  const states = [], actions = [], owners = [];
  trajectories.forEach((path, owner) => {
    const steps = path.length / 2 - 1;
    for (let j = 0; j < steps; j++) {
      states.push(path[2 * j], path[2 * j + 1], ...(clock ? [j / steps] : []));
      actions.push(path[2 * j + 2] - path[2 * j], path[2 * j + 3] - path[2 * j + 1]);
      owners.push(owner);
    }
  });
  return { dx, states: Float64Array.from(states), actions: Float64Array.from(actions), owners };
}

/** Means and scales: every dimension of the state by itself, one scale for the action. */
export class Standardisation {
  constructor({ dx, states, actions }) {
    const moments = (values, d) => Array.from({ length: d }, (_, i) => {
      const n = values.length / d;
      let mean = 0, square = 0;
      for (let p = i; p < values.length; p += d) mean += values[p] / n;
      for (let p = i; p < values.length; p += d) square += (values[p] - mean) ** 2 / n;
      return [mean, Math.sqrt(square)];
    });
    const ofStates = moments(states, dx), ofActions = moments(actions, 2);
    this.stateMean = ofStates.map(([mean]) => mean);
    this.stateScale = ofStates.map(([, scale]) => scale || 1);
    this.actionMean = ofActions.map(([mean]) => mean);
    this.actionScale = Math.hypot(ofActions[0][1], ofActions[1][1]) / Math.SQRT2;
    if (!(this.actionScale > 0)) throw new Error("All steps of the drawing are equal; draw something that bends.");
  }

  states(values) {
    const d = this.stateMean.length;
    return Float64Array.from(values, (value, i) => (value - this.stateMean[i % d]) / this.stateScale[i % d]);
  }

  actions(values) {
    return Float64Array.from(values, (value, i) => (value - this.actionMean[i % 2]) / this.actionScale);
  }
}

/**
 * p(a | x) = sum_j w_j(x) N(a; a_j, s^2 I),  w_j(x) ~ exp(-sum_k |z_k(x) - z_k(x_j)|^2 / (2 h_k^2)).
 *
 * The library has one width h for all of the state. Here the position and the clock have one each:
 * a hand's timing varies less than its place, and a clock smoothed as widely as the place shortens
 * the steps of a path that turns.
 */
export class KernelDensity {
  constructor(pairs, standard = new Standardisation(pairs)) {
    Object.assign(this, pairs, { standard });
    this.z = standard.states(pairs.states);
    this.b = standard.actions(pairs.actions);
    this.kinds = pairs.dx === 3 ? [[0, 1], [2]] : [[0, 1]]; // dimensions that share a width
    this.stateWidths = this.kinds.map(() => 0.2);
    this.actionWidth = 0.2;
  }

  get n() {
    return this.owners.length;
  }

  /** Squared distance of two rows of `z` in the dimensions of a kind. */
  #square(rows, row, others, other, kind) {
    const { dx } = this;
    return kind.reduce((sum, i) => sum + (rows[row * dx + i] - others[other * dx + i]) ** 2, 0);
  }

  /** Rows that are predicted from the other demonstrations: not those of one that stands alone. */
  leftOut() {
    const { owners, n, z } = this;
    const whole = this.kinds.flat();
    const names = [...new Set(owners)];
    const few = Math.max(3, Math.ceil((names.length * n) / 2e6)); // every third state is enough to tell
    const gaps = names.map((name) => {
      const found = [];
      for (let i = 0, seen = 0; i < n; i++) {
        if (owners[i] !== name || seen++ % few) continue;
        let best = Infinity;
        for (let j = 0; j < n; j++) {
          if (owners[j] !== name) best = Math.min(best, this.#square(z, i, z, j, whole));
        }
        found.push(Math.sqrt(best));
      }
      return found.sort((a, b) => a - b)[(found.length - 1) >> 1];
    });
    const typical = [...gaps].sort((a, b) => a - b)[(gaps.length - 1) >> 1];
    const company = new Set(names.filter((_, at) => gaps[at] <= ALONE * typical));
    const rows = [];
    for (let i = 0; i < n; i++) if (company.has(owners[i])) rows.push(i);
    const wanted = Math.min(QUERIES, Math.max(40, Math.floor(MOST_TERMS / n)));
    const every = Math.max(1, Math.floor(rows.length / wanted));
    return rows.filter((_, at) => at % every === 0);
  }

  /** Mean negative log density of the left-out actions, in units of the actions' spread, by widths. */
  scorer() {
    const { b, kinds, n, owners, z } = this;
    const rows = this.leftOut();
    const others = rows.map((i) => {
      const kept = [];
      for (let j = 0; j < n; j++) if (owners[j] !== owners[i]) kept.push(j);
      return kept;
    });
    const squares = kinds.map((kind) => rows.map((i, q) => Float64Array.from(others[q], (j) => this.#square(z, i, z, j, kind))));
    const apart = rows.map((i, q) => Float64Array.from(others[q], (j) => (b[2 * i] - b[2 * j]) ** 2 + (b[2 * i + 1] - b[2 * j + 1]) ** 2));
    return (stateWidths, actionWidth) => {
      const of = stateWidths.map((h) => -0.5 / h ** 2), s = -0.5 / actionWidth ** 2;
      let total = 0;
      for (let q = 0; q < rows.length; q++) {
        const count = apart[q].length;
        const near = new Float64Array(count);
        let top = -Infinity, topBoth = -Infinity;
        for (let j = 0; j < count; j++) {
          for (let k = 0; k < of.length; k++) near[j] += of[k] * squares[k][q][j];
          top = Math.max(top, near[j]);
          topBoth = Math.max(topBoth, near[j] + s * apart[q][j]);
        }
        let weight = 0, both = 0;
        for (let j = 0; j < count; j++) {
          weight += Math.exp(near[j] - top);
          both += Math.exp(near[j] + s * apart[q][j] - topBoth);
        }
        total += topBoth + Math.log(both) - top - Math.log(weight);
      }
      return 2 * Math.log(actionWidth) + Math.log(2 * Math.PI) - total / rows.length;
    };
  }

  /** The widths that predict a left-out demonstration best, by coordinate descent. A generator. */
  *fit() {
    const nats = this.scorer();
    let best = [...this.stateWidths, this.actionWidth];
    let least = nats(best.slice(0, -1), best.at(-1));
    for (const factor of LADDER) {
      for (let moved = true; moved;) {
        moved = false;
        for (let at = 0; at < best.length; at++) {
          for (const width of [best[at] * factor, best[at] / factor]) {
            if (width < NARROWEST || width > WIDEST) continue;
            const tried = best.with(at, width);
            const found = nats(tried.slice(0, -1), tried.at(-1));
            yield;
            if (found < least - 1e-6) {
              [best, least, moved] = [tried, found, true];
              break;
            }
          }
        }
      }
    }
    this.nats = least;
    this.stateWidths = best.slice(0, -1);
    this.actionWidth = best.at(-1);
  }

  /** log w_j(x) up to a constant, at a standardised state from place `at` of `z`; -infinity for the pairs of `without`. */
  #near(z, at, without) {
    const { dx, n, owners, z: own } = this;
    const near = (this.buffer ??= new Float64Array(n));
    const of = [];
    this.kinds.forEach((kind, k) => kind.forEach((i) => (of[i] = -0.5 / this.stateWidths[k] ** 2)));
    let top = -Infinity;
    for (let j = 0, from = 0; j < n; j++, from += dx) {
      let sum = owners[j] === without ? -Infinity : 0;
      for (let i = 0; i < dx; i++) sum += of[i] * (z[at + i] - own[from + i]) ** 2;
      near[j] = sum;
      if (sum > top) top = sum;
    }
    for (let j = 0; j < n; j++) near[j] = Math.exp(near[j] - top);
    return near;
  }

  /** E[a | x] at one state, from all pairs but those of the demonstration `without`. */
  mean(state, without = -1) {
    const { actions, n } = this;
    const near = this.#near(this.standard.states(state), 0, without);
    let x = 0, y = 0, weight = 0;
    for (let j = 0; j < n; j++) {
      const w = near[j];
      weight += w;
      x += w * actions[2 * j];
      y += w * actions[2 * j + 1];
    }
    return [x / weight, y / weight];
  }

  /** Mean (2) and covariance (xx, xy, yy) of p(a | x), all standardised, at the state from place `at` of `z`. */
  moments(z, at) {
    const { b, n } = this;
    const near = this.#near(z, at, -1);
    let weight = 0, x = 0, y = 0, xx = 0, xy = 0, yy = 0;
    for (let j = 0; j < n; j++) {
      const w = near[j], u = b[2 * j], v = b[2 * j + 1];
      weight += w;
      x += w * u;
      y += w * v;
      xx += w * u * u;
      xy += w * u * v;
      yy += w * v * v;
    }
    x /= weight;
    y /= weight;
    const own = this.actionWidth ** 2;
    return [x, y, Math.max(0, xx / weight - x * x) + own, xy / weight - x * y, Math.max(0, yy / weight - y * y) + own];
  }
}

/** DTW of every pair of paths. */
export function apartOf(paths) {
  return paths.map((one) => paths.map((other) => dtwPerPoint(one, other)));
}

/** The distance between people: the median of a demonstration's distance to its nearest other. */
export function distanceBetweenStrokes(paths) {
  if (paths.length < 2) return NaN;
  const apart = apartOf(paths);
  return median(apart.map((row, i) => Math.min(...row.filter((_, j) => j !== i))));
}

/**
 * How far rollouts of a kernel density stay from left-out demonstrations, as a multiple of the
 * distance between people (recipe.left_out_distance).
 */
function leftOutDistance(kernel, paths, clock) {
  const some = paths.slice(0, MOST_LEFT_OUT);
  const floor = distanceBetweenStrokes(some);
  if (some.length < 3 || !(floor > 0)) return 1;
  const found = some.map((path, left) => {
    const steps = path.length / 2 - 1;
    const taken = [0, 0];
    for (let j = 0; j < steps; j++) {
      const [x, y] = taken.slice(-2);
      const [a, b] = kernel.mean(clock ? [x, y, j / steps] : [x, y], left);
      taken.push(x + a, y + b);
    }
    return Math.min(...some.map((other) => dtwPerPoint(taken, other)));
  });
  return median(found) / floor;
}

/**
 * Which of two branches each path takes, or null where they do not fork: two clusters by average
 * linkage whose distance is more than FORKED times that within them (comparison.protocol.branches).
 */
export function branchesOf(paths) {
  if (paths.length < 4) return null;
  const apart = apartOf(paths);
  let clusters = paths.map((_, i) => [i]);
  const mean = (one, other) => one.reduce((sum, i) => sum + other.reduce((s, j) => s + apart[i][j], 0), 0)
    / (one.length * other.length);
  while (clusters.length > 2) {
    let best = Infinity, pair = null;
    for (let i = 0; i < clusters.length; i++) {
      for (let j = i + 1; j < clusters.length; j++) {
        const gap = mean(clusters[i], clusters[j]);
        if (gap < best) [best, pair] = [gap, [i, j]];
      }
    }
    const joined = [...clusters[pair[0]], ...clusters[pair[1]]];
    clusters = [...clusters.filter((_, at) => !pair.includes(at)), joined];
  }
  const within = [], between = [];
  const side = paths.map((_, i) => (clusters[0].includes(i) === clusters[0].includes(0) ? 0 : 1));
  for (let i = 0; i < paths.length; i++) {
    for (let j = i + 1; j < paths.length; j++) (side[i] === side[j] ? within : between).push(apart[i][j]);
  }
  const average = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  return average(between) > FORKED * average(within) ? side : null;
}

/**
 * What is chosen from the demonstrations alone. A generator; its value is {clock, kernel, forks,
 * reasons}.
 */
export function* chooseRecipe(trajectories) {
  const kernels = [];
  for (const clock of [false, true]) {
    const kernel = new KernelDensity(pairsOf(trajectories, clock));
    yield* kernel.fit();
    kernels.push(kernel);
    yield;
  }
  const [without, withClock] = kernels.map((kernel, at) => leftOutDistance(kernel, trajectories, at === 1));
  const clock = withClock <= MARGIN * without;
  const kernel = kernels[Number(clock)];
  const forks = branchesOf(trajectories);
  const told = trajectories.length < 3
    ? "with two strokes no other is left to try it on"
    : `left-out strokes are followed to ${withClock.toFixed(2)} of the distance between strokes with a clock, `
      + `${without.toFixed(2)} without`;
  const [position, time] = kernel.stateWidths.map((width) => width.toFixed(2));
  const reasons = [
    `state: position${clock ? " and elapsed time" : ""} (${told})`,
    `noise: ${position} on positions, ${clock ? `${time} on time, ` : ""}${kernel.actionWidth.toFixed(2)} on actions, `
      + "in units of their spread (best for left-out strokes)",
    forks ? "actions: one of two roads (the strokes fork)" : "actions: their expectation (the strokes do not fork)",
  ];
  return { clock, kernel, forks, reasons };
}

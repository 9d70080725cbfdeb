// The recipe for drawings in the page: an energy trained by ranking NCE on standardised pairs with
// fresh noise, its density on a grid of actions, and trajectories that end where strokes end.
// The counterpart of ebmlib's recipe.py, objectives/ranking_nce.py, policies/grid.py and ends.py.

import { median } from "./kernel.js";
import { Network, Score } from "./network.js";
import { repeatRows } from "./sampling.js";
import { Adam, parameterGradients } from "./training.js";

const HARMONICS = 4; // of the clock; see encode
const BROADEN = 1.5; // of the proposal
const SPACING = 1.5, REACH = 3; // of the grid: a cell, and how far it goes around actions, in noise widths
const MOST_CELLS = 4000;
const SEPARATE = 0.1; // share of the highest density below which cells are no mode of their own

/** A fresh network for standardised states of `dx` dimensions. */
export function networkFor(settings, dx, random) {
  return Network.initialise({
    h_dim: settings.h_dim, hidden_layers: 2, embedding: false, residual: true, activation: "silu",
    state_dim: featuresOf(dx),
  }, random);
}

/** Numbers that the network reads of a standardised state of `dx` dimensions. */
export function featuresOf(dx) {
  return dx === 3 ? dx + 2 * HARMONICS : dx;
}

/**
 * States (n, dx) as the network reads them: where there is a clock t in standard units, which runs over
 * 2 sqrt 3 of them, cos and sin of k pi t / sqrt 3, k = 1 ... HARMONICS, besides. A network learns slow functions of
 * what it reads first, and a path with many turns is a fast function of time (Tancik et al., "Fourier
 * features let networks learn high frequency functions", 2020).
 */
export function encode(states, dx) {
  if (dx !== 3) return states;
  const width = featuresOf(dx), n = states.length / dx;
  const out = new Float64Array(n * width);
  for (let p = 0; p < n; p++) {
    const t = (Math.PI / Math.sqrt(3)) * states[p * dx + 2];
    for (let i = 0; i < dx; i++) out[p * width + i] = states[p * dx + i];
    for (let k = 1; k <= HARMONICS; k++) {
      out[p * width + dx + 2 * k - 2] = Math.cos(k * t);
      out[p * width + dx + 2 * k - 1] = Math.sin(k * t);
    }
  }
  return out;
}

/** The rate of update k of `epochs`, from 0: half a cosine from lr to final_lr. */
export function cosineRate(k, { epochs, lr, final_lr: last }) {
  return last + ((lr - last) * (1 + Math.cos((Math.PI * k) / Math.max(1, epochs - 1)))) / 2;
}

/** N(mean, b^2 C) of actions: from two standard normals to an action, and log densities. */
export class Gaussian {
  /** @param {number[]} mean  @param {number[]} covariance C as xx, xy, yy */
  constructor([x, y], [xx, xy, yy]) {
    const l = BROADEN * Math.sqrt(xx), m = (BROADEN * xy) / Math.sqrt(xx); // the factor l 0 / m k of b^2 C
    const k = Math.sqrt(Math.max(BROADEN ** 2 * yy - m ** 2, 1e-6 * yy));
    Object.assign(this, { x, y, l, m, k, constant: Math.log(l) + Math.log(k) + Math.log(2 * Math.PI) });
  }

  place(u, v) {
    return [this.x + this.l * u, this.y + this.m * u + this.k * v];
  }

  logProb(a, b) {
    const u = (a - this.x) / this.l, v = (b - this.y - this.m * u) / this.k;
    return -(u * u + v * v) / 2 - this.constant;
  }
}

/**
 * The proposal: q(a | x) = (N_all(a) + N_x(a)) / 2, broadened Gaussians with the mean and covariance of all
 * demonstrated actions and of those near x by the kernel density. The library takes the first alone, whose
 * draws seldom fall where p(a | x) is; with the second, fewer draws and updates do.
 */
export class Proposal {
  constructor(kernel) {
    this.kernel = kernel;
    const n = kernel.b.length / 2;
    let xx = 1e-6, xy = 0, yy = 1e-6;
    for (let p = 0; p < 2 * n; p += 2) {
      xx += kernel.b[p] ** 2 / n;
      xy += (kernel.b[p] * kernel.b[p + 1]) / n;
      yy += kernel.b[p + 1] ** 2 / n;
    }
    this.all = new Gaussian([0, 0], [xx, xy, yy]); // standardised actions have mean 0
  }

  /** The two Gaussians at the standardised state from place `at` of `states`. */
  at(states, at) {
    const [x, y, ...covariance] = this.kernel.moments(states, at);
    return [this.all, new Gaussian([x, y], covariance)];
  }
}

/** log q of an action under equally likely Gaussians. */
export function mixtureLogProb(gaussians, a, b) {
  const [one, other] = gaussians.map((gaussian) => gaussian.logProb(a, b));
  const top = Math.max(one, other);
  return top + Math.log((Math.exp(one - top) + Math.exp(other - top)) / 2);
}

/**
 * Ranking NCE (Ma and Collins 2018): which of 1 + m actions was demonstrated?
 *
 *   L = -mean [ g_0 - log sum_j exp g_j ],   g_j = f(x, a_j) - log q(a_j)
 *
 * The network works in standardised units.
 */
export class RankingTrainer {
  /**
   * @param {Network} network trained in place
   * @param {{z: Float64Array, b: Float64Array, kinds: number[][], stateWidths: number[],
   *   actionWidth: number}} kernel standardised states and actions, and the noise on them
   * @param {object} settings batch, negatives, epochs, lr, final_lr
   */
  constructor(network, kernel, settings) {
    Object.assign(this, { network, kernel, settings, dx: kernel.dx });
    this.proposal = new Proposal(kernel);
    this.adam = new Adam(network, { lr: settings.lr });
    this.score = new Score(network, settings.batch * (1 + settings.negatives), { single: true });
    this.width = []; // of the noise on every dimension of the state
    kernel.kinds.forEach((kind, k) => kind.forEach((i) => (this.width[i] = kernel.stateWidths[k])));
  }

  /** One update on a batch with fresh noise; returns the loss. */
  update(random) {
    const { dx, kernel: { z, b, actionWidth }, settings: { batch, negatives }, width } = this;
    const chosen = random.choose(b.length / 2, Math.min(batch, b.length / 2));
    const noise = new Float64Array(batch * (dx + 2 + 2 * negatives));
    random.fillNormal(noise);
    const states = new Float64Array(batch * dx), actions = new Float64Array(batch * 2 * (1 + negatives));
    const logQ = new Float64Array(batch * (1 + negatives));
    let xi = 0, at = 0;
    for (let p = 0; p < batch; p++) {
      const row = chosen[p % chosen.length];
      for (let i = 0; i < dx; i++) states[p * dx + i] = z[row * dx + i] + width[i] * noise[xi++];
      const gaussians = this.proposal.at(states, p * dx);
      for (let j = 0; j <= negatives; j++, at += 2, xi += 2) {
        const [u, v] = [noise[xi], noise[xi + 1]];
        const action = j === 0
          ? [b[2 * row] + actionWidth * u, b[2 * row + 1] + actionWidth * v]
          : gaussians[random.uniform() < 0.5 ? 0 : 1].place(u, v);
        actions.set(action, at);
        logQ[at / 2] = mixtureLogProb(gaussians, ...action);
      }
    }
    return this.updateOn(states, actions, logQ);
  }

  /** One update on states (n, dx), their actions (n, 1 + m, 2), the demonstrated one first, and log q of these. */
  updateOn(states, actions, logQ) {
    const { adam, dx, network, score, settings } = this;
    const each = 1 + settings.negatives, n = states.length / dx;
    const repeated = repeatRows(encode(states, dx), network.stateDim, each);
    score.load();
    score.setStates(repeated, n * each);
    const g = score.value(actions);
    for (let p = 0; p < g.length; p++) g[p] -= logQ[p];
    const weights = new Float64Array(g.length);
    let loss = 0;
    for (let from = 0; from < g.length; from += each) {
      let top = -Infinity, sum = 0;
      for (let j = from; j < from + each; j++) top = Math.max(top, g[j]);
      for (let j = from; j < from + each; j++) sum += Math.exp(g[j] - top);
      loss += (top + Math.log(sum) - g[from]) / n;
      for (let j = from; j < from + each; j++) weights[j] = (Math.exp(g[j] - top) / sum - (j === from ? 1 : 0)) / n;
    }
    if (!Number.isFinite(loss)) throw new Error("Training left the finite numbers; lower the learning rate.");
    adam.lr = cosineRate(adam.steps, settings);
    adam.step(parameterGradients(score, weights));
    return loss;
  }
}

/** The cells of a square grid near demonstrated actions (n, 2), for noise of standard deviation `width`. */
export class ActionGrid {
  constructor(actions, width) {
    const spacing = SPACING * width, reach = REACH * width, near = Math.ceil(REACH / SPACING) + 1;
    let low = [Infinity, Infinity];
    for (let p = 0; p < actions.length; p++) low[p % 2] = Math.min(low[p % 2], actions[p] - reach);
    const cells = new Map(); // "i j" to the number of a cell
    const points = [];
    for (let p = 0; p < actions.length && cells.size < MOST_CELLS; p += 2) {
      const [i0, j0] = [0, 1].map((d) => Math.round((actions[p + d] - low[d]) / spacing));
      for (let i = i0 - near; i <= i0 + near; i++) {
        for (let j = j0 - near; j <= j0 + near; j++) {
          const x = low[0] + spacing * i, y = low[1] + spacing * j;
          if (cells.has(`${i} ${j}`) || Math.hypot(x - actions[p], y - actions[p + 1]) >= reach) continue;
          cells.set(`${i} ${j}`, cells.size);
          points.push(x, y);
        }
      }
    }
    this.points = Float64Array.from(points);
    this.neighbours = [...cells.keys()].map((key) => {
      const [i, j] = key.split(" ").map(Number);
      const found = [];
      for (let di = -1; di <= 1; di++) {
        for (let dj = -1; dj <= 1; dj++) {
          const other = cells.get(`${i + di} ${j + dj}`);
          if ((di || dj) && other !== undefined) found.push(other);
        }
      }
      return found;
    });
  }
}

/**
 * The modes of masses on the cells of a grid: {mass, mean} each (policies.grid.modes_of). Cells above
 * SEPARATE times the largest that touch are one mode; another cell goes with the one that a walk to
 * the highest neighbour ends in.
 */
export function modesOf(mass, { points, neighbours }) {
  const g = mass.length;
  const bound = SEPARATE * mass.reduce((top, m) => Math.max(top, m), 0);
  const label = new Int32Array(g).fill(-1);
  let count = 0;
  for (let cell = 0; cell < g; cell++) {
    if (mass[cell] <= bound || label[cell] >= 0) continue;
    const open = [cell];
    label[cell] = count;
    while (open.length) {
      for (const other of neighbours[open.pop()]) {
        if (mass[other] <= bound || label[other] >= 0) continue;
        label[other] = count;
        open.push(other);
      }
    }
    count += 1;
  }
  const modes = Array.from({ length: count }, () => ({ mass: 0, mean: [0, 0] }));
  let total = 0;
  for (let cell = 0; cell < g; cell++) {
    let at = cell;
    while (label[at] < 0) {
      const up = neighbours[at].reduce((best, other) => (mass[other] > mass[best] ? other : best), at);
      if (up === at) break;
      at = up;
    }
    if (label[at] < 0) continue;
    const mode = modes[label[at]];
    mode.mass += mass[cell];
    for (let d = 0; d < 2; d++) mode.mean[d] += mass[cell] * points[2 * cell + d];
    total += mass[cell];
  }
  for (const mode of modes) {
    mode.mean = mode.mean.map((value) => value / mode.mass);
    mode.mass /= total;
  }
  return modes;
}

/** When trajectories end, and why (policies.ends.Arrival). */
export class Arrival {
  constructor(trajectories, clock) {
    const counts = trajectories.map((path) => path.length / 2 - 1);
    this.ends = trajectories.map((path) => Array.from(path.slice(-2)));
    const beside = this.ends.map((end, i) => Math.min(...this.ends.map((other, j) => (i === j ? Infinity : gap(end, other)))));
    let length = 0, steps = 0;
    const low = [Infinity, Infinity], high = [-Infinity, -Infinity];
    this.positions = [];
    for (const path of trajectories) {
      for (let j = 0; j < path.length; j += 2) {
        this.positions.push([path[j], path[j + 1]]);
        if (j) length += Math.hypot(path[j] - path[j - 2], path[j + 1] - path[j - 1]);
        for (let d = 0; d < 2; d++) {
          low[d] = Math.min(low[d], path[j + d]);
          high[d] = Math.max(high[d], path[j + d]);
        }
      }
      steps += path.length / 2 - 1;
    }
    this.radius = Math.max(beside.length > 1 ? 2 * median(beside) : 0, length / steps);
    // who has a clock knows the time, and loops that pass the end before it do not end there
    this.earliest = Math.floor((clock ? 0.95 : 0.75) * Math.min(...counts));
    this.steps = Math.max(1, Math.floor((3 * Math.max(...counts)) / 2));
    this.horizon = Math.round(steps / trajectories.length);
    this.away = 0.25 * Math.max(high[0] - low[0], high[1] - low[1]);
  }

  toEnd(point) {
    return Math.min(...this.ends.map((end) => gap(end, point)));
  }

  left(point) {
    return this.positions.every((other) => gap(other, point) > this.away);
  }
}

const gap = (one, other) => Math.hypot(one[0] - other[0], one[1] - other[1]);

/** A trained network as a policy: E[a | x] on the grid, or one of the roads where strokes fork. */
export class GridPolicy {
  constructor(network, { clock, kernel, forks }, trajectories, score = null) {
    const { standard } = kernel;
    Object.assign(this, { clock, standard, roads: Boolean(forks), end: new Arrival(trajectories, clock) });
    this.grid = new ActionGrid(kernel.b, kernel.actionWidth);
    const cells = this.grid.points.length / 2;
    this.score = score?.capacity === cells && score.network === network ? score : new Score(network, cells, { single: true });
    this.score.load();
  }

  /** P(cell | x) at a position after `taken` actions. */
  mass([x, y], taken) {
    const { end, grid, score, standard } = this;
    const state = this.clock ? [x, y, Math.min(1, taken / end.horizon)] : [x, y];
    score.setStates(encode(standard.states(state), state.length), grid.points.length / 2);
    const f = score.value(grid.points);
    const top = f.reduce((most, value) => Math.max(most, value), -Infinity);
    let sum = 0;
    for (let c = 0; c < f.length; c++) sum += f[c] = Math.exp(f[c] - top);
    for (let c = 0; c < f.length; c++) f[c] /= sum;
    return f;
  }

  /**
   * A trajectory from a position to its end. A generator that yields between actions; its value is
   * {path (flat), why}.
   */
  *follow(start, random) {
    const { end, standard: { actionMean, actionScale } } = this;
    const path = [...start];
    let last = null; // the road that was taken, where there were several
    let nearest = end.toEnd(start);
    for (let taken = 0; taken < end.steps; taken++) {
      const x = path.slice(-2);
      const mass = this.mass(x, taken);
      let action;
      if (this.roads) {
        const modes = modesOf(mass, this.grid);
        const mode = committed(modes, last, random);
        last = { mean: mode.mean, several: modes.length > 1 };
        action = mode.mean;
      } else {
        action = [0, 0];
        mass.forEach((m, c) => {
          action[0] += m * this.grid.points[2 * c];
          action[1] += m * this.grid.points[2 * c + 1];
        });
      }
      const next = x.map((value, d) => value + actionMean[d] + actionScale * action[d]);
      if (!next.every(Number.isFinite)) throw new Error("A trajectory left the finite numbers; train longer.");
      const far = end.toEnd(next);
      // its closest approach was one action ago
      if (taken >= end.earliest && nearest <= end.radius && far >= nearest) return { path, why: "arrived" };
      path.push(...next);
      if (end.left(next)) return { path, why: "left the data" };
      nearest = far;
      yield;
    }
    return { path, why: "step limit" };
  }
}

/** One of the modes by its mass, or the one that goes on with the road taken (policies.grid.Committed). */
function committed(modes, last, random) {
  if (last?.several && modes.length > 1) {
    const away = modes.map(({ mean }) => gap(mean, last.mean));
    const kept = away.indexOf(Math.min(...away));
    const apart = Math.min(...modes.map(({ mean }, at) => (at === kept ? Infinity : gap(mean, modes[kept].mean))));
    if (away[kept] < apart / 2) return modes[kept];
  }
  let u = random.uniform();
  return modes.find(({ mass }) => (u -= mass) < 0) ?? modes.at(-1);
}

// Langevin chains, policies, rollouts and exact densities; the counterparts of ebmlib's sgld.py,
// policy.py and exact.py.
//
// A score here is anything with `gradient(a, out, values?)`; exact targets use the same stepping
// function as the network. Work that takes long is a generator that yields between slices:
// `drive` runs it for a while and comes back, so that nothing blocks. Results never depend on how
// the work was sliced.

import { Score } from "./network.js";

/** R of a flat energy in d dimensions: alpha sqrt(2) Gamma((d + 1) / 2) / Gamma(d / 2). */
export function noiseFloor(alpha, d) {
  // Gamma((d + 1) / 2) / Gamma(d / 2), from d = 1 or 2 by Gamma(x + 1) = x Gamma(x)
  let ratio = d % 2 ? 1 / Math.sqrt(Math.PI) : Math.sqrt(Math.PI) / 2;
  for (let k = d % 2 ? 1 : 2; k < d; k += 2) ratio *= (k + 1) / k;
  return alpha * Math.SQRT2 * ratio;
}

/** n starts from noise, N(0, alpha^2 I), as (n, d) numbers. */
export function noiseStart(n, d, alpha, random) {
  const a = new Float64Array(n * d);
  random.fillNormal(a);
  for (let i = 0; i < a.length; i++) a[i] *= alpha;
  return a;
}

/** n chains of SGLD (section 2.4), stepped one update at a time. */
export class Chain {
  /**
   * @param {{gradient: Function}} score at the states of the n chains
   * @param {Float64Array} start (n, d) numbers; the chain moves them in place
   * @param {number} d dimension of an action
   * @param {object} sampler alpha, and optionally temperature (1) and drift (alpha^2 / 2)
   * @param {{fillNormal: Function}} random draws the noise
   */
  constructor(score, start, d, { alpha, temperature = 1, drift = (alpha * alpha) / 2 }, random) {
    Object.assign(this, { score, a: start, d, random, drift });
    this.scale = alpha * Math.sqrt(temperature);
    this.n = start.length / d;
    this.steps = 0;
    this.length = new Float64Array(this.n); // summed step length of every chain
    this.gradient = new Float64Array(start.length);
    this.noise = new Float64Array(start.length);
  }

  /**
   * a' = a + (alpha^2 / 2) grad f(a) + alpha sqrt(T) xi for every chain.
   * @param {Float64Array} [values] receives f at the positions before the update
   */
  step(values = null) {
    const { a, d, n, gradient, noise, length, drift, scale } = this;
    this.score.gradient(a, gradient, values);
    if (scale > 0) this.random.fillNormal(noise);
    for (let p = 0; p < n; p++) {
      let square = 0;
      for (let i = p * d; i < (p + 1) * d; i++) {
        const move = drift * gradient[i] + scale * noise[i];
        a[i] += move;
        square += move * move;
      }
      length[p] += Math.sqrt(square);
    }
    this.steps += 1;
  }

  /** R: the mean over chains of their mean step length. */
  get meanStep() {
    let total = 0;
    for (const l of this.length) total += l;
    return total / (this.n * this.steps);
  }
}

function assertFinite(a, what, remedy) {
  for (const value of a) {
    if (!Number.isFinite(value)) throw new Error(`${what} left the finite numbers; ${remedy}.`);
  }
}

const LOWER_ALPHA = "lower alpha";

/** Run K steps; yields after each. */
function* walk(chain, steps) {
  for (let k = 0; k < steps; k++) {
    chain.step();
    yield;
  }
  assertFinite(chain.a, "The chain", LOWER_ALPHA);
}

/** The expectation estimate E[a | x] by Algorithm 2; see ebmlib.policies.EXP. */
export class EXP {
  constructor(network, { alpha, steps, temperature = 1, population = 64, jitter = alpha }) {
    Object.assign(this, { network, alpha, steps, temperature, population, jitter });
  }

  /** Generator; returns actions (b, d_a) for states (b, d_x). */
  *act(states, random) {
    const { network: net, population } = this;
    const { stateDim: dx, actionDim: da } = net;
    const rows = states.length / dx, n = rows * population;
    const candidates = repeatRows(states, dx, population);
    if (this.jitter > 0) {
      const noise = new Float64Array(candidates.length);
      random.fillNormal(noise);
      for (let i = 0; i < noise.length; i++) candidates[i] += this.jitter * noise[i];
    }
    if (this.score?.capacity !== n) this.score = new Score(net, n);
    this.score.setStates(candidates, n);
    const chain = new Chain(this.score, noiseStart(n, da, this.alpha, random), da, this, random);
    yield* walk(chain, this.steps);
    const actions = new Float64Array(rows * da);
    for (let i = 0; i < chain.a.length; i++) {
      actions[Math.floor(i / (population * da)) * da + (i % da)] += chain.a[i] / population;
    }
    return actions;
  }
}

/** The most probable action by ascent from several starts; see ebmlib.policies.ML. */
export class ML {
  constructor(network, { alpha, steps, population = 8, blocks = 10, tolerance = 0.01 }) {
    Object.assign(this, { network, alpha, steps, population, blocks, tolerance });
  }

  /** Generator; returns actions (b, d_a) for states (b, d_x). */
  *act(states, random) {
    const { network: net, population } = this;
    const { stateDim: dx, actionDim: da } = net;
    const rows = states.length / dx, n = rows * population;
    if (this.score?.capacity !== n) this.score = new Score(net, n);
    this.score.setStates(repeatRows(states, dx, population), n);
    const a = noiseStart(n, da, this.alpha, random);
    for (let r = 0; r < rows; r++) a.fill(0, r * population * da, r * population * da + da);
    const best = a.slice(), bestF = Float64Array.from(this.score.value(a));
    const winners = () => {
      const winner = new Int32Array(rows);
      for (let r = 0; r < rows; r++) {
        winner[r] = r * population;
        for (let p = r * population; p < (r + 1) * population; p++) {
          if (bestF[p] > bestF[winner[r]]) winner[r] = p;
        }
      }
      return winner;
    };
    let winner = winners();
    for (let block = 0; block < this.blocks; block++) {
      const before = Array.from(winner, (p) => bestF[p]);
      yield* walk(new Chain(this.score, a, da, { alpha: this.alpha, temperature: 0 }, random), this.steps);
      const values = this.score.value(a);
      for (let p = 0; p < n; p++) {
        if (values[p] > bestF[p]) { // ascent in steps this large may also fall
          bestF[p] = values[p];
          best.set(a.subarray(p * da, (p + 1) * da), p * da);
        }
      }
      winner = winners();
      if (before.every((f, r) => bestF[winner[r]] - f <= this.tolerance)) break;
    }
    const actions = new Float64Array(rows * da);
    winner.forEach((p, r) => actions.set(best.subarray(p * da, (p + 1) * da), r * da));
    return actions;
  }
}

/** Every row of (n, d) numbers `times` times in a row. */
export function repeatRows(rows, d, times) {
  const out = new Float64Array(rows.length * times);
  for (let i = 0; i < out.length; i++) out[i] = rows[Math.floor(i / (d * times)) * d + (i % d)];
  return out;
}

/**
 * Trajectories from b starts at once (Algorithm 1), T(x, a) = x + a. A generator: yields undefined
 * between slices and {step, states} after every action.
 * @param {{act: Function}} policy EXP or ML
 * @param {ArrayLike<number>} starts (b, d) numbers
 * @param {number} steps number of actions
 */
export function* rollout(policy, starts, steps, random) {
  const states = Float64Array.from(starts);
  for (let step = 1; step <= steps; step++) {
    const actions = yield* policy.act(states, random);
    for (let i = 0; i < states.length; i++) states[i] += actions[i];
    assertFinite(states, "A trajectory", "start nearer to the demonstrations");
    yield { step, states: states.slice() };
  }
}

/**
 * Run a generator until it has something to tell, is done, or the budget is spent.
 * @returns {{done: boolean, value: any}} value is undefined where only the budget ended
 */
export function drive(task, milliseconds, clock = () => performance.now()) {
  const end = clock() + milliseconds;
  for (;;) {
    const { done, value } = task.next();
    if (done || value !== undefined || clock() >= end) return { done: Boolean(done), value };
  }
}

/** Cell centres of the grid [-radius, radius]^2, (points^2, 2) numbers, second component fastest. */
export function gridActions(radius, points) {
  const spacing = (2 * radius) / points;
  const out = new Float64Array(2 * points * points);
  for (let i = 0, at = 0; i < points; i++) {
    for (let j = 0; j < points; j++, at += 2) {
      out[at] = -radius + spacing * (i + 0.5);
      out[at + 1] = -radius + spacing * (j + 0.5);
    }
  }
  return out;
}

/**
 * f of one state on a grid of actions, with the exact log Z(x) = log sum_g exp f + 2 log spacing.
 * log p = f - logZ, cell by cell (ebmlib.evaluation.exact).
 * @param {Score} score any capacity; the states it holds are replaced
 */
export function gridDensity(score, state, radius, points) {
  const actions = gridActions(radius, points);
  const f = new Float64Array(points * points);
  for (let from = 0; from < f.length; from += score.capacity) {
    const n = Math.min(score.capacity, f.length - from);
    score.setStates(state, n);
    score.value(actions.subarray(2 * from, 2 * (from + n)), f.subarray(from, from + n));
  }
  let top = -Infinity;
  for (const value of f) if (value > top) top = value;
  let sum = 0;
  for (const value of f) sum += Math.exp(value - top);
  const logZ = top + Math.log(sum) + 2 * Math.log((2 * radius) / points);
  return { f, logZ };
}

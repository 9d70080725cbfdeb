// Training in the page: contrastive divergence with noise-started chains (section 3.4) and Adam.
// The counterpart of ebmlib's objectives/contrastive_divergence.py and training.py.

import { LANES } from "./matmul.js";
import { NEGATIVE_SLOPE, Score } from "./network.js";
import { Chain, noiseStart } from "./sampling.js";

/** target (rows) += sum over particles of delta. */
function addSum(delta, deltaRows, rows, blocks, target) {
  for (let b = 0; b < blocks; b++) {
    for (let o = 0; o < rows; o++) {
      const d = (b * deltaRows + o) * LANES;
      target[o] += delta[d] + delta[d + 1] + delta[d + 2] + delta[d + 3];
    }
  }
}

/** Zeros in the shape of a network's weights: [[name, {weight, bias}], ...]. */
export function zerosLike(network) {
  return network.layers().map(([name, { weight, bias }]) => [
    name, { weight: new Float64Array(weight.length), bias: bias && new Float64Array(bias.length) },
  ]);
}

/**
 * The gradient of sum_p weights[p] f(x_p, a_p) by every parameter, where `score` holds the states
 * x and has just done `forward` at the actions a. Returned as `zerosLike` has it.
 */
export function parameterGradients(score, weights) {
  const { network: net, H, F, Z, X, D, blocks, arena, packed } = score;
  const gradients = zerosLike(net);
  const of = Object.fromEntries(gradients);
  const [first] = net.fcn;
  score.backward((l, delta) => {
    if (l === -1) {
      arena.addOuter(delta, Z, score.actions, D, net.fe_a.rows, net.actionDim, blocks, of.FE_a.weight, net.actionDim, 0);
      addSum(delta, Z, net.fe_a.rows, blocks, of.FE_a.bias);
      return;
    }
    const g = of[`FCN[${l}]`];
    addSum(delta, H, net.h, blocks, g.bias);
    if (l > 0) {
      arena.addOuter(delta, H, score.out[l - 1], H, net.h, net.h, blocks, g.weight, net.h, 0);
      return;
    }
    const split = net.stateFeatures;
    arena.addOuter(delta, H, score.features, F, net.h, split, blocks, g.weight, first.columns, 0);
    arena.addOuter(delta, H, score.u, Z, net.h, net.actionFeatures, blocks, g.weight, first.columns, split);
    if (!net.fe_x) return;
    const { gradientF: back, features } = score;
    const end = blocks * F * LANES;
    back.fill(0, 0, end);
    arena.multiply(packed.stateHalfT, delta, back, F, net.h, H, blocks);
    if (net.silu) for (let i = 0; i < end; i++) back[i] *= score.slopes.features[i];
    else for (let i = 0; i < end; i++) if (features[i] < 0) back[i] *= NEGATIVE_SLOPE;
    arena.addOuter(back, F, score.states, X, net.fe_x.rows, net.stateDim, blocks, of.FE_x.weight, net.stateDim, 0);
    addSum(back, F, net.fe_x.rows, blocks, of.FE_x.bias);
  }, weights);
  const output = of[`FCN[${net.fcn.length - 1}]`];
  const last = score.out[score.hidden];
  for (let p = 0; p < score.n; p++) {
    const at = (p >> 2) * H * LANES + (p & 3);
    const weight = weights[p] / net.temperature;
    for (let i = 0; i < net.h; i++) output.weight[i] += weight * last[at + i * LANES];
    if (output.bias) output.bias[0] += weight;
  }
  return gradients;
}

/** Adam (Kingma and Ba 2015) as torch.optim.Adam computes it, on a network's weights in place. */
export class Adam {
  constructor(network, { lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8 } = {}) {
    Object.assign(this, { network, lr, beta1, beta2, eps, steps: 0 });
    this.first = zerosLike(network);
    this.second = zerosLike(network);
  }

  /** One update against gradients as `zerosLike` has them. */
  step(gradients) {
    const { beta1, beta2, eps } = this;
    this.steps += 1;
    const rate = this.lr / (1 - beta1 ** this.steps);
    const root = Math.sqrt(1 - beta2 ** this.steps);
    this.network.layers().forEach(([, layer], at) => {
      for (const kind of ["weight", "bias"]) {
        const p = layer[kind];
        if (!p) continue;
        const g = gradients[at][1][kind], m = this.first[at][1][kind], v = this.second[at][1][kind];
        for (let i = 0; i < p.length; i++) {
          m[i] += (1 - beta1) * (g[i] - m[i]);
          v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
          p[i] -= (rate * m[i]) / (Math.sqrt(v[i]) / root + eps);
        }
      }
    });
  }
}

/**
 * Contrastive divergence: L = mean f(chain ends) - mean f(data) + l1 mean |f| + l2 mean f^2.
 * Chains start from noise at the states of the batch (ebmlib.objectives.ContrastiveDivergence with
 * NoiseStart).
 */
export class Trainer {
  /**
   * @param {Network} network trained in place
   * @param {object} options alpha and steps (K) of the chain, batch (pairs and chains of an
   *   update), lr, regL1, regL2, dataNoise (standard deviation of noise added to a batch's actions)
   */
  constructor(network, { alpha = 0.01, steps = 100, batch = 128, lr = 1e-3, regL1 = 0, regL2 = 0, dataNoise = 0 } = {}) {
    Object.assign(this, { network, alpha, steps, batch, regL1, regL2, dataNoise });
    this.adam = new Adam(network, { lr });
    this.chains = new Score(network, batch);
    this.both = new Score(network, 2 * batch);
  }

  /**
   * One update on pairs {states, actions}, (n, d) numbers each. A generator: yields between
   * slices, returns {loss, R, fData, fChain}.
   */
  *update({ states, actions }, random) {
    const { network: net, batch } = this;
    const d = net.actionDim, dx = net.stateDim;
    const n = actions.length / d;
    const chosen = random.choose(n, Math.min(n, batch));
    const take = (from, width) => {
      const out = new Float64Array(batch * width);
      for (let p = 0; p < batch; p++) {
        const row = chosen[p % chosen.length];
        for (let i = 0; i < width; i++) out[p * width + i] = from[row * width + i];
      }
      return out;
    };
    const batchStates = take(states, dx), batchActions = take(actions, d);
    if (this.dataNoise > 0) {
      const noise = new Float64Array(batchActions.length);
      random.fillNormal(noise);
      for (let i = 0; i < noise.length; i++) batchActions[i] += this.dataNoise * noise[i];
    }
    const start = noiseStart(batch, d, this.alpha, random);
    return yield* this.updateOn(batchStates, batchActions, start, random);
  }

  /** One update on this very batch with chains from `start`; all three have `batch` rows. */
  *updateOn(states, actions, start, random) {
    const { network: net, batch, both, regL1, regL2 } = this;
    this.chains.load();
    this.chains.setStates(states, batch);
    const chain = new Chain(this.chains, start.slice(), net.actionDim, this, random);
    for (let k = 0; k < this.steps; k++) {
      chain.step();
      yield;
    }
    both.load();
    both.setStates(joined(states, states), 2 * batch);
    const f = both.value(joined(actions, chain.a));
    let fData = 0, fChain = 0;
    for (let p = 0; p < batch; p++) {
      fData += f[p] / batch;
      fChain += f[batch + p] / batch;
    }
    const weights = f.map((value, p) => (p < batch ? -1 : 1) / batch
      + (regL1 * Math.sign(value) + 2 * regL2 * value) / (2 * batch));
    if (!Number.isFinite(fChain - fData)) {
      throw new Error("Training left the finite numbers; lower alpha or the learning rate.");
    }
    this.gradients = parameterGradients(both, weights);
    this.adam.step(this.gradients);
    return { loss: fChain - fData, R: chain.meanStep, fData, fChain };
  }
}

function joined(a, b) {
  const out = new Float64Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

// The energy model of Figure 3.2 and its score in closed form.
//
//   f(x, a) = FCN(FE_x(x), FE_a(a)) / T,   FE_x = LeakyReLU of a layer, FE_a = psi of a layer
//
// With u = psi(A a + b) (or u = a without embedding) and c the part of FCN[0] that depends on x,
//
//   o_0 = phi(c + W_0 u),   o_i = rho(s_i) + r o_{i-1},   s_i = W_i o_{i-1} + b_i,   f = w . o_L / T
//   g_L = w / T,            g_{i-1} = W_i^T (rho'(s_i) g_i) + r g_i
//   grad_a f = A^T (psi'(A a + b) * W_0^T (phi'(s_0) g_0)).
//
// psi is ELU and rho is ReLU; where the activation is "silu", both and FE_x's are
// SiLU(s) = s sigma(s), SiLU'(s) = sigma(s) (1 + s (1 - sigma(s))). phi is rho, or tanh.

import { decodeFloat32 } from "./encoding.js";
import { Arena, LANES, packMatrix, packTransposed, padded } from "./matmul.js";
import { singleArena } from "./single.js";

export const NEGATIVE_SLOPE = 0.01; // of FE_x's LeakyReLU, PyTorch's default

/** A linear layer: weight (rows x columns, row-major doubles), bias (rows) or null. */
function layer(rows, columns, weight, bias) {
  return { rows, columns, weight, bias };
}

/** The weights. Layers are `fe_x`, `fe_a` (or null), `fcn` (array, the last one has one row). */
export class Network {
  constructor(architecture, layers) {
    this.stateDim = architecture.state_dim;
    this.actionDim = architecture.action_dim;
    this.residual = architecture.residual;
    this.tanh = architecture.first_activation === "tanh";
    this.silu = architecture.activation === "silu"; // absent in files of format 1
    this.temperature = architecture.temperature;
    this.fe_x = layers.FE_x ?? null;
    this.fe_a = layers.FE_a ?? null;
    this.fcn = [];
    while (layers[`FCN[${this.fcn.length}]`]) this.fcn.push(layers[`FCN[${this.fcn.length}]`]);
    this.h = this.fcn[0].rows;
    /** features of a state and of an action that FCN[0] reads, in this order */
    this.stateFeatures = this.fe_x ? this.fe_x.rows : this.stateDim;
    this.actionFeatures = this.fe_a ? this.fe_a.rows : this.actionDim;
  }

  /** From the JSON that ebmlib.widgets.export writes. */
  static decode(data) {
    const layers = {};
    for (const [name, { shape, weight, bias }] of Object.entries(data.layers)) {
      layers[name] = layer(
        shape[0], shape[1], Float64Array.from(decodeFloat32(weight)),
        bias === null ? null : Float64Array.from(decodeFloat32(bias)),
      );
    }
    return new Network(data.architecture, layers);
  }

  /**
   * A network with fresh weights, uniform in +-1 / sqrt(fan-in) like ebmlib's and PyTorch's.
   * @param {object} architecture z_dim, h_dim, hidden_layers, embedding, residual,
   *   first_activation, activation, temperature, output_bias, state_dim, action_dim
   */
  static initialise(architecture, random) {
    const full = {
      z_dim: 64, h_dim: 128, hidden_layers: 2, embedding: true, residual: true,
      first_activation: "relu", activation: "relu", temperature: 1, output_bias: false,
      state_dim: 2, action_dim: 2, ...architecture,
    };
    const { z_dim: z, h_dim: h, embedding, state_dim: dx, action_dim: da } = full;
    const make = (rows, columns, biased = true) => {
      const bound = 1 / Math.sqrt(columns);
      const draw = (n) => Float64Array.from({ length: n }, () => (2 * random.uniform() - 1) * bound);
      return layer(rows, columns, draw(rows * columns), biased ? draw(rows) : null);
    };
    const layers = embedding ? { FE_x: make(z, dx), FE_a: make(z, da) } : {};
    let columns = embedding ? 2 * z : dx + da;
    for (let i = 0; i <= full.hidden_layers; i++, columns = h) layers[`FCN[${i}]`] = make(h, columns);
    layers[`FCN[${full.hidden_layers + 1}]`] = make(1, h, full.output_bias);
    return new Network(full, layers);
  }

  /** Layers by the names of Figure 3.2, in order. */
  layers() {
    const named = this.fe_x ? [["FE_x", this.fe_x], ["FE_a", this.fe_a]] : [];
    return [...named, ...this.fcn.map((l, i) => [`FCN[${i}]`, l])];
  }
}

/** Rows to panel: (n, d) interleaved numbers into a panel of `rows` rows; spare lanes get 0. */
export function toPanel(values, n, d, panel, rows) {
  const blocks = Math.ceil(n / LANES);
  for (let b = 0; b < blocks; b++) {
    for (let lane = 0; lane < LANES; lane++) {
      const p = b * LANES + lane;
      for (let i = 0; i < d; i++) panel[(b * rows + i) * LANES + lane] = p < n ? values[p * d + i] : 0;
    }
  }
}

/** Panel to rows, the inverse of `toPanel`. */
export function fromPanel(panel, rows, n, d, values) {
  for (let p = 0; p < n; p++) {
    const at = (p >> 2) * rows * LANES + (p & 3);
    for (let i = 0; i < d; i++) values[p * d + i] = panel[at + i * LANES];
  }
}

/**
 * f and grad_a f of up to `capacity` particles, each at its own state or all at one; in doubles, or
 * in single precision where that is asked for and can be had (single.js).
 * Set the states, then call `value` or `gradient` as often as you like: what depends on the states
 * alone is kept. Call `load` again after the network's weights have changed.
 */
export class Score {
  constructor(network, capacity, { plain = false, single = false } = {}) {
    const blocks = 2 * Math.ceil(capacity / (2 * LANES)); // single precision takes them in pairs
    const lanes = blocks * LANES;
    const { stateDim, actionDim, stateFeatures, actionFeatures } = network;
    const H = padded(network.h), F = padded(stateFeatures), Z = padded(actionFeatures);
    const X = padded(stateDim), D = padded(actionDim);
    const hidden = network.fcn.length - 2;
    const weights = F * (X + H) + Z * (D + 2 * H) + D * (Z + H) + H * F + 2 * hidden * H * H;
    const slopes = network.silu ? F + Z + H : 0;
    const panels = X + 2 * D + 2 * F + 2 * Z + H * (3 + hidden + (hidden + 1)) + slopes;
    const rows = Math.max(H, F, Z);
    const sums = LANES * rows * Math.max(rows, X, D);
    const size = weights + panels * lanes + 4 * (F + Z + H * (2 + hidden)) + 64;
    const arena = (single && !plain && singleArena(size + sums)) || new Arena(size, plain);
    const panel = (rows) => arena.take(rows * lanes);
    Object.assign(this, { network, capacity, single, arena, hidden, H, F, Z, X, D, n: 0, blocks: 0 });
    this.packed = {
      feX: arena.take(F * X), stateHalf: arena.take(H * F), stateHalfT: arena.take(F * H),
      feA: arena.take(Z * D), feAT: arena.take(D * Z),
      first: arena.take(H * Z), firstT: arena.take(Z * H),
      layers: Array.from({ length: hidden }, () => arena.take(H * H)),
      layersT: Array.from({ length: hidden }, () => arena.take(H * H)),
    };
    this.biases = {
      feX: arena.take(4 * F), feA: arena.take(4 * Z), first: arena.take(4 * H),
      layers: Array.from({ length: hidden }, () => arena.take(4 * H)), output: arena.take(4 * H),
    };
    this.states = panel(X);
    this.features = panel(F); // FE_x(x), or x itself
    this.context = panel(H); // c
    this.actions = panel(D);
    this.u = panel(Z);
    this.out = Array.from({ length: hidden + 1 }, () => panel(H)); // o_0 ... o_L
    this.pre = Array.from({ length: hidden }, () => panel(H)); // s_1 ... s_L; of SiLU its derivatives there
    this.g = panel(H);
    this.masked = panel(H);
    this.gradientU = panel(Z);
    this.gradientA = panel(D);
    this.gradientF = panel(F); // by the state's features, in training only
    if (arena.pairs) arena.sums = arena.take(sums);
    if (network.silu) this.slopes = { features: panel(F), u: panel(Z), first: panel(H) };
    this.load();
  }

  /** Blocks of four that hold n particles. */
  blocksOf(n) {
    return this.arena.pairs ? 2 * Math.ceil(n / (2 * LANES)) : Math.ceil(n / LANES);
  }

  /** Read the weights from the network again. */
  load() {
    const { network: net, packed, biases, H, F, Z, X, D } = this;
    const [first] = net.fcn;
    const spread = (bias, target) => {
      target.fill(0);
      if (bias) for (let i = 0; i < bias.length; i++) target.fill(bias[i], 4 * i, 4 * i + 4);
    };
    if (net.fe_x) {
      packMatrix(net.fe_x.weight, net.fe_x.rows, net.stateDim, packed.feX);
      packMatrix(net.fe_a.weight, net.fe_a.rows, net.actionDim, packed.feA);
      packTransposed(net.fe_a.weight, net.fe_a.rows, net.actionDim, packed.feAT);
      spread(net.fe_x.bias, biases.feX);
      spread(net.fe_a.bias, biases.feA);
    }
    const split = net.stateFeatures;
    packMatrix(first.weight, net.h, split, packed.stateHalf, first.columns);
    packTransposed(first.weight, net.h, split, packed.stateHalfT, first.columns);
    packMatrix(first.weight, net.h, net.actionFeatures, packed.first, first.columns, split);
    packTransposed(first.weight, net.h, net.actionFeatures, packed.firstT, first.columns, split);
    spread(first.bias, biases.first);
    for (let i = 0; i < this.hidden; i++) {
      const { weight, bias } = net.fcn[i + 1];
      packMatrix(weight, net.h, net.h, packed.layers[i]);
      packTransposed(weight, net.h, net.h, packed.layersT[i]);
      spread(bias, biases.layers[i]);
    }
    const output = net.fcn[this.hidden + 1];
    spread(output.weight.map((w) => w / net.temperature), biases.output);
    this.outputBias = output.bias ? output.bias[0] / net.temperature : 0;
  }

  /**
   * Hold these states fixed.
   * @param {ArrayLike<number>} states (n, d_x) numbers, one row per particle; or one row for all
   * @param {number} n particles
   */
  setStates(states, n) {
    const { network: net, packed, biases, X, F, H } = this;
    const d = net.stateDim;
    if (n < 1 || n > this.capacity) throw new Error(`Expected 1 to ${this.capacity} particles, got ${n}.`);
    if (states.length !== n * d && states.length !== d) {
      throw new Error(`Expected ${n} states or one of ${d} numbers each, got ${states.length} numbers.`);
    }
    const one = states.length === d;
    const rows = one ? 1 : n;
    this.n = n;
    this.blocks = this.blocksOf(n);
    const blocks = this.blocksOf(rows);
    toPanel(states, rows, d, this.states, X);
    if (net.fe_x) {
      fillBlocks(this.features, biases.feX, blocks);
      this.arena.multiply(packed.feX, this.states, this.features, F, d, X, blocks);
      const end = blocks * F * LANES;
      if (net.silu) this.arena.silu(this.features, this.features, this.slopes.features, end);
      else for (let i = 0; i < end; i++) if (this.features[i] < 0) this.features[i] *= NEGATIVE_SLOPE;
    } else {
      this.features.set(this.states.subarray(0, blocks * X * LANES));
    }
    fillBlocks(this.context, biases.first, blocks);
    this.arena.multiply(packed.stateHalf, this.features, this.context, H, net.stateFeatures, F, blocks);
    if (one) {
      const column = this.context.slice(0, LANES * H);
      for (let i = 0; i < H; i++) column.fill(column[4 * i], 4 * i, 4 * i + 4);
      fillBlocks(this.context, column, this.blocks);
    }
  }

  /** Actions (n, d_a) to o_L; every panel of the forward pass stays for `backward`. */
  forward(a) {
    const { network: net, packed, biases, arena, blocks, H, Z, D } = this;
    toPanel(a, this.n, net.actionDim, this.actions, D);
    if (net.fe_a) {
      fillBlocks(this.u, biases.feA, blocks);
      arena.multiply(packed.feA, this.actions, this.u, Z, net.actionDim, D, blocks);
      const { u } = this;
      const end = blocks * Z * LANES;
      if (net.silu) arena.silu(u, u, this.slopes.u, end);
      else for (let i = 0; i < end; i++) if (u[i] < 0) u[i] = Math.expm1(u[i]);
    } else {
      this.u.set(this.actions.subarray(0, blocks * D * LANES));
    }
    const end = blocks * H * LANES;
    const o = this.out[0];
    o.set(this.context.subarray(0, end));
    arena.multiply(packed.first, this.u, o, H, net.actionFeatures, Z, blocks);
    if (net.tanh) for (let i = 0; i < end; i++) o[i] = Math.tanh(o[i]);
    else if (net.silu) arena.silu(o, o, this.slopes.first, end);
    else for (let i = 0; i < end; i++) if (o[i] < 0) o[i] = 0;
    for (let l = 0; l < this.hidden; l++) {
      const [s, before, after] = [this.pre[l], this.out[l], this.out[l + 1]];
      fillBlocks(s, biases.layers[l], blocks);
      arena.multiply(packed.layers[l], before, s, H, net.h, H, blocks);
      if (net.silu) {
        arena.silu(s, after, s, end);
        if (net.residual) for (let i = 0; i < end; i++) after[i] += before[i];
      } else if (net.residual) for (let i = 0; i < end; i++) after[i] = s[i] > 0 ? s[i] + before[i] : before[i];
      else for (let i = 0; i < end; i++) after[i] = s[i] > 0 ? s[i] : 0;
    }
  }

  /** f of every particle from the panels of `forward`. */
  read(values) {
    const { H, network } = this;
    const o = this.out[this.hidden], w = this.biases.output;
    for (let p = 0; p < this.n; p++) {
      const at = (p >> 2) * H * LANES + (p & 3);
      let f = 0;
      for (let i = 0; i < network.h; i++) f += w[4 * i] * o[at + 4 * i];
      values[p] = f + this.outputBias;
    }
    return values;
  }

  /**
   * grad_a f into `gradientA`, after `forward`.
   * @param {(layer: number, delta: Float64Array) => void} [visit] sees the gradient by the
   *   pre-activations of FCN[layer], from the last hidden layer to 0, then that of FE_a as -1
   * @param {ArrayLike<number>} [weights] start from weights[p] f_p in place of f_p
   */
  backward(visit, weights) {
    const { network: net, packed, arena, blocks, g, masked, H, Z, D } = this;
    const end = blocks * H * LANES;
    fillBlocks(g, this.biases.output, blocks);
    if (weights) {
      for (let b = 0; b < blocks; b++) {
        for (let lane = 0; lane < LANES; lane++) {
          const p = b * LANES + lane;
          const weight = p < this.n ? weights[p] : 0;
          for (let i = 0; i < H; i++) g[(b * H + i) * LANES + lane] *= weight;
        }
      }
    }
    for (let l = this.hidden - 1; l >= 0; l--) {
      const s = this.pre[l];
      if (net.silu) for (let i = 0; i < end; i++) masked[i] = s[i] * g[i];
      else for (let i = 0; i < end; i++) masked[i] = s[i] > 0 ? g[i] : 0;
      visit?.(l + 1, masked);
      if (!net.residual) g.fill(0, 0, end);
      arena.multiply(packed.layersT[l], masked, g, H, net.h, H, blocks);
    }
    const o = this.out[0];
    if (net.tanh) for (let i = 0; i < end; i++) g[i] *= 1 - o[i] * o[i];
    else if (net.silu) for (let i = 0; i < end; i++) g[i] *= this.slopes.first[i];
    else for (let i = 0; i < end; i++) if (o[i] <= 0) g[i] = 0;
    visit?.(0, g);
    const { gradientU: v, u } = this;
    v.fill(0, 0, blocks * Z * LANES);
    arena.multiply(packed.firstT, g, v, Z, net.h, H, blocks);
    if (!net.fe_a) {
      this.gradientA.set(v.subarray(0, blocks * D * LANES));
      return;
    }
    // ELU' is 1 where u > 0 and exp(s) = u + 1 elsewhere
    if (net.silu) for (let i = 0; i < blocks * Z * LANES; i++) v[i] *= this.slopes.u[i];
    else for (let i = 0; i < blocks * Z * LANES; i++) if (u[i] < 0) v[i] *= u[i] + 1;
    visit?.(-1, v);
    this.gradientA.fill(0, 0, blocks * D * LANES);
    arena.multiply(packed.feAT, v, this.gradientA, D, net.actionFeatures, Z, blocks);
  }

  /** f(x, a) of the particles at actions a (n, d_a) into `values` (n). */
  value(a, values = new Float64Array(this.n)) {
    this.forward(a);
    return this.read(values);
  }

  /** grad_a f(x, a), (n, d_a), into `out`; f too, into `values`, where that is given. */
  gradient(a, out, values = null) {
    this.forward(a);
    if (values) this.read(values);
    this.backward();
    fromPanel(this.gradientA, this.D, this.n, this.network.actionDim, out);
    return out;
  }
}

/** Repeat one block's worth of numbers in the first `blocks` blocks of a panel. */
function fillBlocks(panel, block, blocks) {
  for (let b = 0; b < blocks; b++) panel.set(block, b * block.length);
}

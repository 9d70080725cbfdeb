// Answers questions about the numerics: reads {engine, calls: [{name, ...}]} from the file named by
// the first argument, writes the answers as JSON to the second. Called by test_widgets_numerics.py.
import { readFileSync, writeFileSync } from "node:fs";

const { engine, calls } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const ebm = await import(engine);

/** Noise drawn elsewhere: the numbers of `recorded`, in turn. */
class Recorded {
  constructor(recorded) {
    this.recorded = recorded;
    this.at = 0;
  }

  fillNormal(array, count = array.length) {
    for (let i = 0; i < count; i++) {
      if (this.at >= this.recorded.length) throw new Error("more noise was asked for than recorded");
      array[i] = this.recorded[this.at++];
    }
  }
}

const randomOf = ({ noise, seed, stream }) => (noise ? new Recorded(noise) : new ebm.Random(seed, stream ?? 0));
const finish = (task) => {
  for (;;) {
    const { done, value } = task.next();
    if (done) return value;
  }
};
const toJson = (gradients) => Object.fromEntries(gradients.map(([name, { weight, bias }]) => [
  name, { weight: Array.from(weight), bias: bias && Array.from(bias) },
]));

/** A Gaussian with its own mean and standard deviation in every direction. */
class Target {
  constructor({ s, mean }) {
    Object.assign(this, { s, mean });
  }

  gradient(a, out) {
    const d = this.s.length;
    for (let i = 0; i < a.length; i++) out[i] = -(a[i] - this.mean[i % d]) / this.s[i % d] ** 2;
  }
}

const answers = {
  evaluate({ network, states, actions, capacity, plain, single }) {
    const net = ebm.Network.decode(network);
    const n = actions.length / net.actionDim;
    const score = new ebm.Score(net, capacity ?? n, { plain, single });
    score.setStates(states, n);
    const f = new Float64Array(n);
    const gradient = score.gradient(Float64Array.from(actions), new Float64Array(actions.length), f);
    return { f: Array.from(f), gradient: Array.from(gradient), simd: score.arena.kernel !== null, single: score.arena.pairs };
  },

  target({ target, start, sampler, steps, record, seed }) {
    const d = target.s.length;
    const chain = new ebm.Chain(new Target(target), Float64Array.from(start), d, sampler, new ebm.Random(seed));
    const positions = [];
    for (let k = 0; k <= steps; k++) {
      if (record.includes(k)) positions.push(Array.from(chain.a));
      if (k < steps) chain.step();
    }
    return { positions, meanStep: chain.meanStep, floor: ebm.noiseFloor(sampler.alpha, d) };
  },

  chain({ network, states, start, sampler, steps, noise }) {
    const net = ebm.Network.decode(network);
    const n = start.length / net.actionDim;
    const score = new ebm.Score(net, n);
    score.setStates(states, n);
    const chain = new ebm.Chain(score, Float64Array.from(start), net.actionDim, sampler, new Recorded(noise));
    for (let k = 0; k < steps; k++) chain.step();
    return { actions: Array.from(chain.a), meanStep: chain.meanStep };
  },

  rollout({ network, kind, options, starts, steps, budget, ...random }) {
    const policy = new ebm[kind](ebm.Network.decode(network), options);
    const task = ebm.rollout(policy, starts, steps, randomOf(random));
    const states = [];
    let turns = 0;
    for (;;) {
      const { done, value } = ebm.drive(task, budget ?? 1e9);
      turns += 1;
      if (done) return { states, turns };
      if (value) states.push(Array.from(value.states));
    }
  },

  density({ network, state, radius, points, capacity }) {
    const score = new ebm.Score(ebm.Network.decode(network), capacity);
    const { f, logZ } = ebm.gridDensity(score, state, radius, points);
    return { f: Array.from(f), logZ, actions: Array.from(ebm.gridActions(radius, points)) };
  },

  train({ network, options, updates }) {
    const net = ebm.Network.decode(network);
    const trainer = new ebm.Trainer(net, options);
    return updates.map(({ states, actions, start, noise }) => {
      const report = finish(trainer.updateOn(
        Float64Array.from(states), Float64Array.from(actions), Float64Array.from(start), new Recorded(noise),
      ));
      return { report, gradients: toJson(trainer.gradients), weights: toJson(net.layers()) };
    });
  },

  learn({ architecture, options, pairs, epochs, seed }) {
    const net = ebm.Network.initialise(architecture, new ebm.Random(seed, 0));
    const trainer = new ebm.Trainer(net, options);
    const random = new ebm.Random(seed, 1);
    const history = [];
    for (let epoch = 0; epoch < epochs; epoch++) history.push(finish(trainer.update(pairs, random)));
    return { history, weights: toJson(net.layers()) };
  },

  random({ seed, stream, count }) {
    const random = new ebm.Random(seed, stream);
    const bits = Array.from({ length: 8 }, () => random.bits());
    const normals = new Float64Array(count);
    random.fillNormal(normals);
    return { bits, normals: Array.from(normals), chosen: Array.from(random.choose(20, 12)) };
  },
};

const out = calls.map(({ name, ...call }) => {
  try {
    return answers[name](call);
  } catch (error) {
    return { error: error.message };
  }
});
writeFileSync(process.argv[3], JSON.stringify(out));

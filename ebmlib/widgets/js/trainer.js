// Training on a drawing, in slices: runs in a worker or, where none can start, on the page itself
// (client.js starts it).
//
// Messages in:  {type: "start", run, strokes, settings}, {type: "pause"}, {type: "resume"}
// where settings are those of ebmlib.widgets.recorder.TRAINING
// Messages out: {type: "progress", run, epochs, seconds, losses, R, floor}   what is new
//               {type: "trajectories", run, epochs, states, distance}        EXP from the origin
//               {type: "done", run, epochs}, {type: "error", run, message}

import { Network } from "./network.js";
import { Random } from "./random.js";
import { EXP, noiseFloor, rollout } from "./sampling.js";
import { distanceBetween, noisyPairs, normalise } from "./strokes.js";
import { Trainer } from "./training.js";

const PROGRESS_EVERY = 200; // milliseconds
const COPIES = 20; // noisy trajectories that a drawing is trained on, at least

export class TrainingSession {
  /**
   * @param {(message: object) => void} post
   * @param {number} slice milliseconds of work between two looks at the messages
   */
  constructor(post, slice = 12) {
    Object.assign(this, { post, slice, work: null, paused: true, pumping: false });
    this.channel = new MessageChannel();
    this.channel.port1.onmessage = () => this.pump();
  }

  receive({ type, ...message }) {
    if (type === "start") {
      Object.assign(this, { run: message.run, seconds: 0, work: this.train(message) });
    }
    this.paused = type === "pause";
    this.wake();
  }

  close() {
    this.work = null;
    this.channel.port1.close();
  }

  wake() {
    if (this.pumping || this.paused || !this.work) return;
    this.pumping = true;
    this.channel.port2.postMessage(null);
  }

  /** One slice of work; then the messages that have come in have their turn. */
  pump() {
    this.pumping = false;
    if (this.paused || !this.work) return;
    const begun = performance.now();
    try {
      while (this.work && performance.now() < begun + this.slice) {
        if (this.work.next().done) this.work = null;
      }
    } catch (error) {
      this.work = null;
      this.tell("error", { message: error.message });
    }
    this.seconds += (performance.now() - begun) / 1000;
    this.wake();
  }

  tell(type, message) {
    this.post({ type, run: this.run, ...message });
  }

  /** Epoch after epoch. What is computed depends on the drawing, the settings and the seed alone. */
  *train({ strokes, settings: s }) {
    const { seed } = s;
    const { trajectories } = normalise(strokes, s.steps);
    const copies = Math.ceil(COPIES / trajectories.length);
    const pairs = noisyPairs(trajectories, copies, s.sigma, new Random(seed, 0));
    const net = Network.initialise({ z_dim: s.z_dim, h_dim: s.h_dim }, new Random(seed, 1));
    const trainer = new Trainer(net, { alpha: s.alpha, steps: s.K, batch: s.chains, lr: s.lr });
    const random = new Random(seed, 2);
    const floor = noiseFloor(s.alpha, 2);
    let losses = [], R = [], told = 0;
    const report = (epochs) => {
      this.tell("progress", { epochs, seconds: this.seconds, losses, R, floor });
      [losses, R, told] = [[], [], performance.now()];
    };
    yield* this.show(net, trajectories, s, 0);
    for (let epoch = 1; epoch <= s.epochs; epoch++) {
      trainer.adam.lr = s.lr * (1 - (0.9 * (epoch - 1)) / s.epochs); // linearly to a tenth
      const update = yield* trainer.update(pairs, random);
      losses.push(update.loss);
      R.push(update.R);
      if (performance.now() > told + PROGRESS_EVERY) report(epoch);
      if (epoch % s.shown_every === 0) yield* this.show(net, trajectories, s, epoch);
    }
    report(s.epochs);
    this.tell("done", { epochs: s.epochs });
  }

  /** Trajectories of the policy as it is now, with the same noise every time. */
  *show(net, demonstrations, s, epochs) {
    const policy = new EXP(net, { alpha: s.alpha, steps: s.K, population: s.population });
    const states = Array.from({ length: s.shown }, () => [0, 0]);
    for (const told of rollout(policy, new Float64Array(2 * s.shown), s.steps, new Random(s.seed, 3))) {
      if (told) states.forEach((line, i) => line.push(told.states[2 * i], told.states[2 * i + 1]));
      yield;
    }
    this.tell("trajectories", { epochs, states, distance: distanceBetween(states, demonstrations) });
  }
}

// Training on a drawing, in slices: runs in a worker or, where none can start, on the page itself
// (client.js starts it).
//
// Messages in:  {type: "start", run, strokes, settings}, {type: "pause"}, {type: "resume"}
// where settings are those of ebmlib.widgets.recorder.TRAINING
// Messages out: {type: "choice", run, line, forks, floor}                what was chosen and why
//               {type: "progress", run, epochs, seconds, losses}         what is new
//               {type: "trajectories", run, epochs, states, why, distance}   from the origin to their ends
//               {type: "done", run, epochs}, {type: "error", run, message}
// distance is DTW per point to the nearest stroke; floor the distance between strokes, in the same
// units (NaN where there is one stroke).

import { chooseRecipe, distanceBetweenStrokes } from "./kernel.js";
import { Random } from "./random.js";
import { GridPolicy, RankingTrainer, networkFor } from "./recipe.js";
import { dtwPerPoint, noisyCopies, normalise } from "./strokes.js";

const PROGRESS_EVERY = 200; // milliseconds

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

  /** Update after update. What is computed depends on the drawing, the settings and the seed alone. */
  *train({ strokes, settings: s }) {
    const { seed } = s;
    const { trajectories: drawn } = normalise(strokes, s.steps, true);
    const alone = drawn.length === 1;
    const trajectories = alone ? noisyCopies(drawn[0], s.copies, s.sigma, new Random(seed, 0)) : drawn;
    const choice = yield* chooseRecipe(trajectories);
    const reasons = alone ? [`one stroke: ${s.copies} copies with noise of ${s.sigma}`, ...choice.reasons] : choice.reasons;
    const line = [...reasons, `${s.epochs} updates of ranking NCE`].join("; ");
    this.tell("choice", { line: `Chosen: ${line}.`, forks: Boolean(choice.forks), floor: distanceBetweenStrokes(drawn) });
    const net = networkFor(s, choice.kernel.dx, new Random(seed, 1));
    const trainer = new RankingTrainer(net, choice.kernel, s);
    const policy = new GridPolicy(net, choice, trajectories);
    const random = new Random(seed, 2);
    let losses = [], told = 0;
    const report = (epochs) => {
      this.tell("progress", { epochs, seconds: this.seconds, losses });
      [losses, told] = [[], performance.now()];
    };
    yield* this.show(policy, drawn, s, 0);
    for (let epoch = 1; epoch <= s.epochs; epoch++) {
      losses.push(trainer.update(random));
      yield;
      if (performance.now() > told + PROGRESS_EVERY) report(epoch);
      if (epoch % s.shown_every === 0 && epoch < s.epochs) yield* this.show(policy, drawn, s, epoch);
    }
    report(s.epochs);
    yield* this.show(policy, drawn, s, s.epochs);
    this.tell("done", { epochs: s.epochs });
  }

  /** Trajectories of the policy as it is now: several where strokes fork, else one, for nothing in it is random. */
  *show(policy, drawn, s, epochs) {
    policy.score.load();
    const random = new Random(s.seed, 3);
    const states = [], why = [];
    for (let i = 0; i < (policy.roads ? s.shown : 1); i++) {
      const followed = yield* policy.follow([0, 0], random);
      states.push(followed.path);
      why.push(followed.why);
    }
    const apart = states.map((path) => Math.min(...drawn.map((line) => dtwPerPoint(path, line))));
    this.tell("trajectories", { epochs, states, why, distance: apart.reduce((sum, d) => sum + d, 0) / apart.length });
  }
}

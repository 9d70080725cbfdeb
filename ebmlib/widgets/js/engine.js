// Long computations in slices, for a worker or for the page itself.
//
// Messages in:  {type: "network", key, network}      exported weights, kept under a key
//               {type: "chain" | "extend" | "density" | "rollout", id, ...}   see the methods
//               {type: "stop", id}
// Messages out: {id, ...}; {id, error} where a computation failed.
// A computation with the id of one that is under way replaces it.

import { Network, Score } from "./network.js";
import { Random } from "./random.js";
import { Chain, EXP, ML, gridDensity, noiseFloor, noiseStart, repeatRows, rollout } from "./sampling.js";

const FRAMES_AT_ONCE = 8;
const MOST_IDLE = 12;
const CELLS_AT_ONCE = 256;

export class Engine {
  /**
   * @param {(message: object, transfer?: ArrayBuffer[]) => void} post
   * @param {number} slice milliseconds of work between two looks at the messages
   */
  constructor(post, slice = 12) {
    Object.assign(this, { post, slice, pumping: false });
    this.networks = new Map();
    this.tasks = new Map();
    this.idle = []; // workspaces that no computation uses
    this.channel = new MessageChannel();
    this.channel.port1.onmessage = () => this.pump();
  }

  receive({ type, ...message }) {
    if (type === "network") {
      this.networks.set(message.key, Network.decode(message.network));
    } else if (type === "stop") {
      this.end(message.id);
    } else if (type === "extend") {
      const task = this.tasks.get(message.id);
      if (task) Object.assign(task, { limit: Math.max(task.limit, message.steps), parked: false });
    } else {
      this.end(message.id);
      const task = { limit: message.steps, parked: false };
      task.work = this[type](message, task);
      this.tasks.set(message.id, task);
    }
    this.wake();
  }

  close() {
    this.tasks.clear();
    this.channel.port1.close();
  }

  /** Stop a computation; its `finally` hands its workspace back. */
  end(id) {
    const task = this.tasks.get(id);
    this.tasks.delete(id);
    task?.work.return();
  }

  /** A workspace for n particles of a network, one that lies idle or a new one; in single precision if that is to be fast. */
  workspace(network, n, single = false) {
    const at = this.idle.findIndex((score) => score.network === network && score.capacity === n && score.single === single);
    return at < 0 ? new Score(network, n, { single }) : this.idle.splice(at, 1)[0];
  }

  handBack(score) {
    this.idle.push(score);
    if (this.idle.length > MOST_IDLE) this.idle.shift();
  }

  wake() {
    if (this.pumping || ![...this.tasks.values()].some((task) => !task.parked)) return;
    this.pumping = true;
    this.channel.port2.postMessage(null);
  }

  /** One slice: the tasks in turn, one piece of each at a time. */
  pump() {
    const end = performance.now() + this.slice;
    let worked = true;
    while (worked && performance.now() < end) {
      worked = false;
      for (const [id, task] of [...this.tasks]) {
        if (task.parked || this.tasks.get(id) !== task) continue;
        worked = true;
        try {
          if (task.work.next().done) this.tasks.delete(id);
        } catch (error) {
          this.tasks.delete(id);
          this.post({ id, error: error.message });
        }
      }
    }
    this.pumping = false;
    this.wake();
  }

  /**
   * Particles from their noise start, `perState` of them at each state, for `steps` updates and on
   * after every "extend". Tells {id, version, from, positions, R, fFrom, f, floor}: positions (frames,
   * n, 2) float32 and R (frames) from frame `from` on, mean f (frames) from frame `fFrom` on.
   */
  *chain({ id, version, network, states, perState, alpha, temperature, seed }, task) {
    const net = this.networks.get(network);
    const d = net.actionDim;
    const rows = states.length / net.stateDim, n = rows * perState;
    const score = this.workspace(net, n);
    score.setStates(rows === 1 ? states : repeatRows(states, net.stateDim, perState), n);
    const random = new Random(seed);
    const chain = new Chain(score, noiseStart(n, d, alpha, random), d, { alpha, temperature }, random);
    const values = new Float64Array(n);
    const mean = () => values.reduce((sum, value) => sum + value, 0) / n;
    let frames = [Float32Array.from(chain.a)], R = [NaN], f = [], from = 0, fFrom = 0;
    const tell = () => {
      const positions = new Float32Array(frames.length * n * d);
      frames.forEach((frame, at) => positions.set(frame, at * n * d));
      const floor = noiseFloor(alpha, d);
      this.post({ id, version, from, positions, R, fFrom, f, floor }, [positions.buffer]);
      from += frames.length;
      fFrom += f.length;
      [frames, R, f] = [[], [], []];
    };
    try {
      for (;;) {
        while (chain.steps < task.limit) {
          chain.step(values);
          f.push(mean());
          frames.push(Float32Array.from(chain.a));
          R.push(chain.meanStep);
          if (!Number.isFinite(R.at(-1))) {
            throw new Error(`The particles left the finite numbers at step ${chain.steps}; lower alpha.`);
          }
          if (frames.length >= FRAMES_AT_ONCE) tell();
          yield;
        }
        score.value(chain.a, values); // f of the last frame; the next update would tell it, if any
        f.push(mean());
        tell();
        fFrom -= 1;
        task.parked = true;
        yield;
      }
    } finally {
      this.handBack(score);
    }
  }

  /** f on a grid of actions at one state; tells {id, version, f, logZ, points, radius}, coarse first. */
  *density({ id, version, network, state, radius, grids }) {
    const score = this.workspace(this.networks.get(network), CELLS_AT_ONCE);
    try {
      for (const points of grids) {
        yield;
        const { f, logZ } = gridDensity(score, state, radius, points);
        const cells = Float32Array.from(f);
        this.post({ id, version, f: cells, logZ, points, radius }, [cells.buffer]);
      }
    } finally {
      this.handBack(score);
    }
  }

  /** One trajectory; tells {id, version, step, x} after every action, then {id, version, done}. */
  *rollout({ id, version, network, kind, options, start, steps, seed, stream }) {
    const net = this.networks.get(network);
    const policy = new { EXP, ML }[kind](net, options);
    policy.score = this.workspace(net, policy.population, true); // as the library's own rollouts are
    try {
      for (const told of rollout(policy, start, steps, new Random(seed, stream))) {
        if (told) this.post({ id, version, step: told.step, x: Array.from(told.states) });
        yield;
      }
      this.post({ id, version, done: true });
    } finally {
      this.handBack(policy.score);
    }
  }
}

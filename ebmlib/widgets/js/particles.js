// The particle explorer: SGLD particles of a trained policy, step by step.

import { choice, dropDown, element, figureTile, formatNumber, prefersStillness, slider, tickBox, wholeNumber } from "./page.js";
import { Handle, button, logSlider } from "./parts.js";
import { ParticleScene, groundOf } from "./scene.js";
import { CHOOSES_POLICY, View, widgetOf } from "./view.js";

const STATES_ALONG = 60;
const MOST_STEPS = 500;
const GRIDS = [21, 61]; // a coarse picture at once, then a fine one

const RESTART = ["alpha", "seed", "state", ...CHOOSES_POLICY, "temperature", "particles", "where"];

class ParticleView extends View {
  static shortName = "particles";

  constructor(model, el, signal) {
    super(model, el, signal, [...RESTART, "k", "background", "trail", "step", "playing"]);
    this.title = "Langevin particles of a trained policy";
    this.frames = [];
    this.meanF = [];
    this.R = [];
    this.density = this.ground = null; // as the engine told it, and as it is drawn
  }

  get data() {
    return this.demonstrations[this.get("dataset")];
  }

  /** The frame on display: the step asked for, or the last one there is. */
  get shown() {
    return Math.min(this.get("step"), this.frames.length - 1);
  }

  get alone() {
    return this.get("where") === "state";
  }

  build(root) {
    const canvas = (label) => element("canvas", { role: "img", "aria-label": label });
    const [positions, actions] = [canvas("positions"), canvas("actions")];
    this.scene = new ParticleScene(positions, actions);
    this.handle = new Handle(this.scene.positions, {
      name: "State",
      moved: (x) => this.set({ state: x }),
      home: () => this.set({ state: this.data.someState() }),
      stride: () => this.data.step / 2,
    });
    this.scale = element("span", { class: "ebm-scale" });
    const mark = (kind, text) => element(
      "span", { class: "ebm-key" }, element("span", { class: `ebm-mark ebm-mark-${kind}`, "aria-hidden": "true" }), text,
    );
    this.meanKey = mark("mean", "mean");
    this.targetKey = mark("target", "mean");
    const panel = (title, ...rest) => element(
      "figure", {}, element("figcaption", {}, title), element("div", { class: "ebm-canvas" }, ...rest),
    );
    this.actionTitle = element("span", {}, "Actions a at the state");
    this.play = button("play", "Play", () => this.#play(!this.get("playing")));
    this.tiles = {
      step: figureTile("Langevin step"),
      R: figureTile("step length R / noise floor"),
      energy: figureTile("mean energy E"),
      distance: figureTile("particle mean to demonstrated action"),
    };
    this.live = element("p", { class: "ebm-unseen", "aria-live": "polite" });
    this.controls = {
      alpha: logSlider("noise level α", 0.001, 0.1, (alpha) => this.set({ alpha })),
      k: slider({
        label: "steps K", min: 0, max: MOST_STEPS, step: 1, toText: String,
        fromPosition: Number, toPosition: Number, change: (k) => this.set({ k }),
      }),
      dataset: dropDown({ label: "demonstrations", change: (name) => this.#chooseDataset(name) }),
      policy: this.policyChoice(),
      where: choice({
        label: "particles at", change: (where) => this.set({ where }),
        options: [["state", "one state"], ["demonstrations", "all along"]],
      }),
      background: choice({
        label: "background", change: (background) => this.set({ background }),
        options: [["density", "density"], ["energy", "energy"], ["none", "none"]],
      }),
      trail: tickBox({ label: "trails", change: (trail) => this.set({ trail }) }),
      seed: wholeNumber({
        label: "seed", change: (seed) => this.set({ seed }),
        button: button("dice", "Another seed", () => this.set({ seed: this.get("seed") + 1 }), true),
      }),
    };
    const { alpha, k, dataset, policy, where, background, trail, seed } = this.controls;
    root.append(
      element(
        "div", { class: "ebm-panels" },
        panel("Positions: x, and x + a", positions, this.handle.box),
        panel(this.actionTitle, actions),
      ),
      element(
        "p", { class: "ebm-legend" }, mark("particle", "particles"), this.meanKey,
        mark("demonstrated", "demonstrated nearby"), this.targetKey, this.scale,
      ),
      element(
        "div", { class: "ebm-transport", role: "group", "aria-label": "Animation" }, this.play,
        button("step", "Step", () => this.#step()),
        button("restart", "Restart", () => this.#restart()),
      ),
      element("dl", { class: "ebm-tiles" }, ...Object.values(this.tiles).map((tile) => tile.box)),
      element("div", { class: "ebm-controls" }, alpha.box, k.box, where.box, background.box, dataset.box, policy.box, seed.box, trail.box),
      this.live,
    );
    dataset.offer(Object.keys(this.demonstrations).map((name) => [name, name]));
    for (const name of this.traits) this.#show(name);
    this.#run();
  }

  #chooseDataset(name) {
    this.set({ ...this.changesForDataset(name), state: this.demonstrations[name].someState() });
  }

  /** Bring a control to its trait. */
  #show(name) {
    if (CHOOSES_POLICY.includes(name)) this.offerPolicies(this.controls.policy);
    if (name === "playing") this.play.set(this.get("playing") ? ["pause", "Pause"] : ["play", "Play"]);
    if (name === "where") this.root?.toggleAttribute("data-alone", this.alone);
    this.controls[name]?.set(this.get(name));
  }

  changed(name) {
    this.#show(name);
    if (RESTART.includes(name)) this.#runSoon();
    if (name === "k" && !this.get("playing")) this.set({ step: this.get("k") });
    if (name === "step" || name === "k") this.#extend();
    if (name === "background") this.#askDensity();
    if (name === "playing" && this.get("playing")) this.#startPlaying();
    this.settleLater();
    this.redraw();
  }

  /** One run for all that changes at once. */
  #runSoon() {
    if (this.runAsked) return;
    this.runAsked = true;
    queueMicrotask(() => {
      this.runAsked = false;
      if (this.policy >= 0) this.#run();
    });
  }

  /** Start the chains anew. */
  #run() {
    this.frames = [];
    this.meanF = [];
    this.R = [];
    const particles = this.get("particles");
    this.perState = this.alone ? particles : Math.max(1, Math.round(particles / STATES_ALONG));
    this.states = this.alone ? Float64Array.from(this.get("state")) : this.data.statesAlong(STATES_ALONG);
    this.limit = Math.max(this.get("k"), this.get("step"));
    this.near = [];
    for (let i = 0; i < this.states.length; i += 2) this.near.push(this.data.near(this.states[i], this.states[i + 1]));
    this.begin({
      type: "chain", id: "chain", network: this.policy, states: this.states, perState: this.perState,
      alpha: this.get("alpha"), temperature: this.get("temperature"), seed: this.get("seed"),
      steps: this.limit,
    });
    this.#askDensity();
    for (const part of [this.handle.box, this.meanKey, this.targetKey]) part.hidden = !this.alone;
    this.actionTitle.textContent = this.alone ? "Actions a at the state x" : "Actions a at all these states";
  }

  #extend() {
    const steps = Math.max(this.get("k"), this.get("step"));
    if (steps <= this.limit) return;
    this.limit = steps;
    this.ask({ type: "extend", id: "chain", steps });
  }

  /** The density at the state, unless it is there or under way. */
  #askDensity() {
    const wanted = this.alone && this.get("background") !== "none";
    const subject = `${this.policy} ${this.get("state")}`;
    if (!wanted || subject === this.subject) {
      this.recoloured();
      return;
    }
    this.subject = subject;
    this.begin({
      type: "density", id: "density", network: this.policy, state: this.get("state"),
      radius: this.reach, grids: GRIDS,
    });
  }

  /** Half the width of the action panel: every demonstrated action, and room to overshoot. */
  get reach() {
    return 1.25 * this.data.maxStep;
  }

  received(message) {
    if (message.id === "chain") {
      const n = 2 * this.perState * (this.states.length / 2);
      message.R.forEach((R, at) => {
        this.R[message.from + at] = R / message.floor;
        this.frames[message.from + at] = message.positions.subarray(at * n, (at + 1) * n);
      });
      message.f.forEach((f, at) => {
        this.meanF[message.fFrom + at] = f;
      });
      this.settleLater();
    } else if (message.id === "density") {
      this.density = message;
      this.recoloured();
    }
    this.redraw();
  }

  /** What lies behind the actions, anew: another density, another kind, or other colours. */
  recoloured() {
    if (!this.density || !this.colours || this.get("background") === "none") return;
    const { temperature } = this.policies[this.policy].network.architecture;
    this.ground = groundOf(this.density, this.get("background") === "energy", temperature, this.colours);
    const number = (text) => element("span", { class: "ebm-number" }, text);
    this.scale.replaceChildren(
      this.ground.name, number(this.ground.left), element("span", { class: "ebm-ramp", "aria-hidden": "true" }),
      number(this.ground.right), this.ground.unit,
    );
  }

  #play(playing) {
    if (playing && prefersStillness()) {
      this.set({ step: this.get("k") }); // no movement: straight to the end
      return;
    }
    if (playing && this.get("step") >= this.get("k")) this.set({ step: 0 }, false);
    this.set({ playing });
  }

  #startPlaying() {
    const origin = this.get("step");
    const began = performance.now();
    const advance = (now) => {
      if (!this.get("playing") || this.signal.aborted) return;
      // by the clock, so that two views of one widget agree; never ahead of the chains
      const wanted = origin + Math.floor((Math.max(0, now - began) / 1000) * this.get("speed"));
      const step = Math.min(wanted, this.get("k"), Math.max(0, this.frames.length - 1));
      if (step !== this.get("step")) this.set({ step }, false);
      if (step >= this.get("k")) this.set({ playing: false });
      else requestAnimationFrame(advance);
    };
    requestAnimationFrame(advance);
  }

  #step() {
    const step = this.get("step") + 1;
    if (step > MOST_STEPS) return;
    this.set({ playing: false }, false);
    if (step > this.get("k")) this.set({ k: step }, false);
    this.set({ step });
  }

  #restart() {
    this.set({ step: 0, playing: false });
  }

  /** The numbers of the frame on display. */
  #numbers() {
    const frame = this.frames[this.shown];
    if (!frame) return null;
    const rows = this.states.length / 2;
    let distance = 0;
    const means = [];
    for (let r = 0; r < rows; r++) {
      let x = 0, y = 0;
      for (let p = r * this.perState; p < (r + 1) * this.perState; p++) {
        x += frame[2 * p] / this.perState;
        y += frame[2 * p + 1] / this.perState;
      }
      means.push(x, y);
      distance += Math.hypot(x - this.near[r].mean[0], y - this.near[r].mean[1]) / rows;
    }
    const temperature = this.policies[this.policy].network.architecture.temperature;
    return {
      step: this.shown, r_over_floor: this.R[this.shown], mean_energy: -temperature * this.meanF[this.shown],
      distance, means,
    };
  }

  draw() {
    if (this.policy < 0 || !this.scene.fit()) return;
    const { alone, colours, data, frames, near, perState, reach, shown, states } = this;
    const numbers = this.#numbers();
    const ground = alone && this.get("background") !== "none" ? this.ground : null;
    this.scene.draw({
      alone, colours, data, frames, ground, near, perState, reach, shown, states, means: numbers?.means,
      mode: this.root.dataset.mode, run: this.version.chain, trail: this.get("trail"),
    });
    this.handle.place(this.get("state"));
    this.scale.hidden = !ground;
    const policy = `the policy trained with K = ${this.get("trained_k")}`;
    this.scene.positions.canvas.setAttribute("aria-label",
      `Positions: ${data.paths.length} demonstrations of ${data.name} and the particles of ${policy}`);
    this.scene.actions.canvas.setAttribute("aria-label",
      `Actions: the particles, demonstrated actions${ground ? ` and the ${this.get("background")}` : ""}`);
    if (!numbers) return;
    const { step, R, energy, distance } = this.tiles;
    step.set(String(numbers.step), `of ${this.get("k")}`);
    R.set(numbers.step ? formatNumber(numbers.r_over_floor) : "–", numbers.step ? "×" : "");
    energy.set(formatNumber(numbers.mean_energy), "");
    distance.set(formatNumber(numbers.distance, 2), `= ${Math.round((100 * numbers.distance) / this.data.step)} % of a step`);
  }

  settle() {
    const numbers = this.#numbers();
    if (!numbers || numbers.step !== this.get("step") || this.meanF[numbers.step] === undefined) return false;
    const { means, ...told } = numbers;
    if (!Number.isFinite(told.r_over_floor)) told.r_over_floor = null;
    this.set({ numbers: told, actions: Array.from(this.frames[numbers.step]) });
    const R = numbers.step ? `, R ${formatNumber(numbers.r_over_floor)} times the noise floor` : "";
    this.live.textContent = `After ${numbers.step} steps: mean energy ${formatNumber(numbers.mean_energy)}${R}, `
      + `particle mean ${Math.round((100 * numbers.distance) / this.data.step)} percent of a step from the demonstrated action.`;
    return true;
  }
}

export default widgetOf(ParticleView);

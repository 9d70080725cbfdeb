// The rollout explorer: trajectories of a trained policy from points that the reader chooses.

import { choice, dropDown, element, figureTile, formatNumber, slider, wholeNumber } from "./page.js";
import { Plot } from "./plot.js";
import { Handle, button, drawDemonstrations, logSlider } from "./parts.js";
import { CHOOSES_POLICY, View, widgetOf } from "./view.js";

const RERUN = ["alpha", "k", ...CHOOSES_POLICY, "estimate", "population", "steps", "seed"];
const ML_STARTS = 8; // ascents for every action: the library's own default
const DELAY = 250; // milliseconds that a slider must rest before all trajectories are drawn anew

class RolloutView extends View {
  static shortName = "rollouts";

  constructor(model, el, signal) {
    super(model, el, signal, [...RERUN, "starts"]);
    this.title = "Trajectories of a trained policy";
    this.runs = []; // {start, path, done} of every start
    this.cursor = null;
  }

  get data() {
    return this.demonstrations[this.get("dataset")];
  }

  /** Two trajectories are there at first, and each is a computation of its own. */
  get parallel() {
    return 2;
  }

  engineOf(id) {
    return this.engines[Number(id.split(" ")[1]) % this.engines.length];
  }

  build(root) {
    const canvas = element("canvas", { role: "img", "aria-label": "trajectories" });
    this.plot = new Plot(canvas);
    const add = (point) => this.set({ starts: [...this.get("starts"), point] });
    this.handle = new Handle(this.plot, {
      name: "New start, Enter begins a trajectory there",
      moved: (point) => {
        this.cursor = point;
        this.redraw();
      },
      home: () => {
        this.cursor = null;
        this.redraw();
      },
      stride: () => this.data.step,
      pressed: () => add(this.cursor ?? this.data.someState()),
      jump: (point) => {
        this.cursor = point;
        add(point);
      },
    });
    this.tiles = {
      count: figureTile("trajectories"),
      progress: figureTile("actions taken"),
      mean: figureTile("mean distance to the demonstrations"),
      end: figureTile("distance at the end"),
    };
    this.live = element("p", { class: "ebm-unseen", "aria-live": "polite" });
    this.legend = element("p", { class: "ebm-legend" });
    const whole = (label, name, min, max, step) => slider({
      label, min, max, step, toText: String, fromPosition: Number, toPosition: Number,
      change: (value) => this.set({ [name]: value }),
    });
    this.controls = {
      estimate: choice({
        label: "action estimate", options: [["EXP", "EXP"], ["ML", "ML"]],
        change: (estimate) => this.set({ estimate }),
      }),
      alpha: logSlider("noise level α", 0.001, 0.1, (alpha) => this.set({ alpha })),
      k: whole("steps K of every chain", "k", 1, 300, 1),
      steps: whole("actions in a trajectory", "steps", 10, 400, 10),
      population: whole("chains for every action", "population", 4, 64, 4),
      dataset: dropDown({ label: "demonstrations", change: (name) => this.#chooseDataset(name) }),
      policy: this.policyChoice(),
      seed: wholeNumber({
        label: "seed", change: (seed) => this.set({ seed }),
        button: button("dice", "Another seed", () => this.set({ seed: this.get("seed") + 1 }), true),
      }),
    };
    const c = this.controls;
    root.append(
      element(
        "div", { class: "ebm-panels ebm-single" },
        element(
          "figure", {}, element("figcaption", {}, "Click where a trajectory should start"),
          element("div", { class: "ebm-canvas" }, canvas, this.handle.box),
        ),
        element(
          "div", { class: "ebm-side" },
          element("div", { class: "ebm-transport" },
            button("step", "Start here", () => add(this.cursor ?? this.data.someState())),
            button("clear", "Clear", () => this.set({ starts: [] }))),
          element("dl", { class: "ebm-tiles" }, ...Object.values(this.tiles).map((tile) => tile.box)),
          c.seed.box,
        ),
      ),
      this.legend,
      element(
        "div", { class: "ebm-controls" }, c.alpha.box, c.k.box, c.steps.box, c.population.box, c.estimate.box,
        c.dataset.box, c.policy.box,
      ),
      this.live,
    );
    c.dataset.offer(Object.keys(this.demonstrations).map((name) => [name, name]));
    for (const name of this.traits) this.#show(name);
    this.#rerun();
  }

  #chooseDataset(name) {
    const { half, centre } = this.demonstrations[name];
    const outside = [centre[0] + 0.4 * half, centre[1] + 0.4 * half];
    this.cursor = null;
    this.set({ ...this.changesForDataset(name), starts: [[0, 0], outside] });
  }

  #show(name) {
    if (CHOOSES_POLICY.includes(name)) this.offerPolicies(this.controls.policy);
    if (name === "estimate") {
      this.controls.population.box.hidden = this.get("estimate") !== "EXP";
      const words = this.get("estimate") === "EXP"
        ? "EXP: the mean of several Langevin chains" : "ML: the best end of ascents from several starts";
      const key = (kind, text) => element(
        "span", { class: "ebm-key" }, element("span", { class: `ebm-stroke ebm-${kind}`, "aria-hidden": "true" }), text,
      );
      this.legend.replaceChildren(key("demo", "demonstrations"), key(this.get("estimate"), words));
    }
    this.controls[name]?.set(this.get(name));
  }

  changed(name) {
    this.#show(name);
    if (name === "starts") {
      this.#matchStarts();
    } else {
      clearTimeout(this.delayed);
      this.delayed = setTimeout(() => this.#rerun(), DELAY);
    }
    this.settleLater();
    this.redraw();
  }

  #rerun() {
    for (const run of this.runs) this.ask({ type: "stop", id: run.id });
    this.runs = [];
    this.#matchStarts();
  }

  /** One run for every start: those that are gone end, those that are new begin. */
  #matchStarts() {
    if (this.policy < 0) return;
    const starts = this.get("starts");
    this.runs.forEach((run, at) => {
      const same = at < starts.length && run.start[0] === starts[at][0] && run.start[1] === starts[at][1];
      if (!same) this.ask({ type: "stop", id: run.id });
      run.gone = !same;
    });
    this.runs = starts.map((start, at) => (this.runs[at]?.gone === false ? this.runs[at] : this.#begin(start, at)));
    this.settleLater();
    this.redraw();
  }

  #begin(start, at) {
    const id = `rollout ${at}`;
    this.begin({
      type: "rollout", id, network: this.policy, kind: this.get("estimate"), start,
      options: {
        alpha: this.get("alpha"), steps: this.get("k"),
        population: this.get("estimate") === "EXP" ? this.get("population") : ML_STARTS,
      },
      steps: this.get("steps"), seed: this.get("seed"), stream: at,
    });
    return { id, start: [...start], path: [...start], done: false };
  }

  received({ id, x, done }) {
    const run = this.runs.find((r) => r.id === id);
    if (!run) return;
    if (x) run.path.push(...x);
    if (done) run.done = true;
    if (done) this.settleLater();
    this.redraw();
  }

  #numbers() {
    const last = this.runs.at(-1);
    if (!last) return null;
    let sum = 0;
    for (let i = 0; i < last.path.length; i += 2) sum += this.data.distance(last.path[i], last.path[i + 1]);
    return {
      count: this.runs.length, taken: last.path.length / 2 - 1, mean_distance: sum / (last.path.length / 2),
      end_distance: this.data.distance(...last.path.slice(-2)),
    };
  }

  draw() {
    const { plot, colours, data } = this;
    if (this.policy < 0 || !plot.fit()) return;
    const ink = this.get("estimate") === "EXP" ? colours.particle : colours.second;
    plot.look(data.centre, 1.9 * data.half);
    plot.layer("still", `${data.name} ${this.root.dataset.mode}`, () => drawDemonstrations(plot, colours, data));
    plot.clipped(() => {
      for (const run of this.runs) {
        plot.line(run.path, { colour: colours.plot, width: 5, alpha: 0.8 });
        plot.line(run.path, { colour: ink, width: 2.2 });
      }
      for (const run of this.runs) {
        plot.ring(run.start, { colour: colours.ink, halo: colours.plot, radius: 4 });
        plot.dots(run.path.slice(-2), { colour: ink, radius: 4, edge: colours.plot });
      }
    });
    this.handle.place(this.cursor ?? data.someState());
    const numbers = this.#numbers();
    const { count, progress, mean, end } = this.tiles;
    count.set(String(this.runs.length), "");
    progress.set(numbers ? String(numbers.taken) : "–", numbers ? `of ${this.get("steps")}` : "");
    const steps = (value) => [formatNumber(value, 2), `= ${formatNumber(value / data.step, 2)} steps`];
    mean.set(...(numbers ? steps(numbers.mean_distance) : ["–", ""]));
    end.set(...(numbers ? steps(numbers.end_distance) : ["–", ""]));
    plot.canvas.setAttribute("aria-label", `${this.runs.length} ${this.get("estimate")} trajectories beside `
      + `${data.paths.length} demonstrations of ${data.name}`);
  }

  settle() {
    if (this.runs.some((run) => !run.done)) return false;
    const pairs = ({ path }) => Array.from({ length: path.length / 2 }, (_, i) => path.slice(2 * i, 2 * i + 2));
    const numbers = this.#numbers();
    this.set({ trajectories: this.runs.map(pairs), numbers: numbers ?? {} });
    this.live.textContent = numbers
      ? `${numbers.count} trajectories. The last one: mean distance to the demonstrations `
        + `${formatNumber(numbers.mean_distance, 2)}, at the end ${formatNumber(numbers.end_distance, 2)}.`
      : "No trajectory.";
    return true;
  }
}

export default widgetOf(RolloutView);

// The recorder: the reader draws demonstrations, sees them normalised, takes them along as an SVG and
// trains a small model on them.

import { connect } from "./client.js";
import { coloursOf, element, figureTile, followTheme, formatNumber, prefersStillness, uniqueId } from "./page.js";
import { button } from "./parts.js";
import { Pen } from "./pen.js";
import { Plot } from "./plot.js";
import { drawNormalised, drawPad, drawTraining } from "./sketch.js";
import { normalise, svgText } from "./strokes.js";

const READ_OUT_EVERY = 6000; // milliseconds between two sentences during training
const STILL = 2000; // milliseconds between two pictures for readers who want no motion

class Recorder {
  constructor(model, el, signal) {
    Object.assign(this, { model, signal, engine: null, run: 0, state: "idle", drawnAt: 0, readOutAt: 0 });
    this.forget();
    this.root = element("section", { class: "ebm ebm-recorder", "aria-label": "Draw your own demonstrations" });
    this.build();
    el.append(this.root);
    const refresh = () => {
      this.colours = coloursOf(this.root);
      this.redraw();
    };
    followTheme(this.root, signal, refresh);
    const sized = new ResizeObserver(refresh);
    sized.observe(this.root);
    const changed = () => this.changed();
    for (const trait of ["strokes", "settings"]) model.on(`change:${trait}`, changed);
    signal.addEventListener("abort", () => {
      for (const trait of ["strokes", "settings"]) model.off(`change:${trait}`, changed);
      sized.disconnect();
      this.pen.close();
      this.engine?.then((engine) => engine.close());
      this.root.remove();
    });
    this.changed();
  }

  get strokes() {
    return this.model.get("strokes");
  }

  get settings() {
    return this.model.get("settings");
  }

  set(changes) {
    for (const [name, value] of Object.entries(changes)) this.model.set(name, value);
    this.model.save_changes();
  }

  build() {
    const help = uniqueId("help");
    const pad = element("canvas", {
      class: "ebm-pad", tabindex: 0, role: "application", "aria-label": "Drawing area", "aria-describedby": help,
    });
    const canvas = (name) => element("canvas", { role: "img", "aria-label": name });
    const plain = (name, press) => element("button", { type: "button", class: "ebm-button", click: press }, name);
    const key = (name) => element("kbd", {}, name);
    const figure = (caption, ...content) => element("figure", {}, element("figcaption", {}, caption), ...content);
    const stroke = (kind) => element("span", { class: `ebm-stroke ${kind}`, "aria-hidden": "true" });
    this.pad = pad;
    this.plot = new Plot(canvas("Normalised demonstrations"));
    this.loss = canvas("Loss");
    this.course = canvas("Distance to the drawing");
    this.pen = new Pen(pad, {
      down: () => this.say("Pen down."),
      change: () => this.redraw(),
      stroke: (made) => this.add(made),
    });
    this.buttons = {
      undo: plain("Undo", () => this.set({ strokes: this.strokes.slice(0, -1) })),
      clear: plain("Clear", () => this.set({ strokes: [] })),
      example: plain("Example", () => this.set({ strokes: this.model.get("example") })),
      save: plain("Download SVG", () => this.download()),
      train: button("play", "Train", () => this.press()),
      reset: button("restart", "Start over", () => this.reset("Training was put back to its beginning.")),
    };
    const b = this.buttons;
    this.tiles = {
      epochs: figureTile("updates"),
      seconds: figureTile("time of training"),
      distance: figureTile("distance to the drawing"),
      floor: figureTile("distance between your strokes"),
    };
    this.count = element("p", { class: "ebm-note" });
    this.size = element("p", { class: "ebm-note" });
    this.chosen = element("p", { class: "ebm-note ebm-chosen" });
    this.live = element("p", { class: "ebm-unseen", "aria-live": "polite" });
    this.alert = element("p", { class: "ebm-alert", role: "alert", hidden: true });
    this.root.append(
      element(
        "div", { class: "ebm-panels" },
        figure(
          "Your demonstrations", pad,
          element("div", { class: "ebm-tools" }, b.undo, b.clear, b.example, b.save), this.count,
          element(
            "p", { class: "ebm-note", id: help }, "Mouse, pen or finger. With the keyboard: arrow keys move the pen, ",
            key("Space"), " puts it down and lifts it, ", key("Tab"), " leaves.",
          ),
        ),
        figure(
          "Normalised, with trajectories", this.plot.canvas,
          element(
            "p", { class: "ebm-legend" }, stroke("ebm-demo"), "demonstrations", stroke("ebm-ball"),
            "action set Bε(0)", stroke("ebm-EXP"), "trajectory",
          ),
          this.size,
        ),
      ),
      element("div", { class: "ebm-transport" }, b.train, b.reset),
      this.chosen,
      element("dl", { class: "ebm-tiles" }, ...Object.values(this.tiles).map((tile) => tile.box)),
      element("div", { class: "ebm-panels ebm-curves" }, figure("Loss", this.loss),
        figure("Distance to the drawing; dashed: between your strokes", this.course)),
      this.alert, this.live,
    );
  }

  /** A sentence for readers who do not see the picture. */
  say(text) {
    this.live.textContent = text;
  }

  complain(text) {
    this.alert.textContent = text;
    this.alert.hidden = !text;
  }

  add(stroke) {
    if (stroke === null) {
      this.say("Pen up. That was too short for a stroke.");
      this.redraw();
      return;
    }
    this.set({ strokes: [...this.strokes, stroke] });
    this.say(`Pen up. Stroke ${this.strokes.length} has ${stroke.points.length} points.`);
  }

  /** The drawing has changed: what was trained on the old one goes. */
  changed() {
    this.reset(this.strokes.length ? "" : "The drawing area is empty.");
    const n = this.strokes.length;
    this.normalised = n ? normalise(this.strokes, this.settings.steps, true) : null;
    const points = this.strokes.reduce((sum, { points }) => sum + points.length, 0);
    const seconds = this.strokes.reduce((sum, { times }) => sum + (times.at(-1) - times[0]) / 1000, 0);
    const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
    this.count.textContent = n
      ? `${plural(n, "stroke")}, ${plural(points, "point")}, ${formatNumber(seconds, 2)} s.`
      : "No stroke yet.";
    this.size.textContent = n
      ? `Mean length 2π, ${this.settings.steps} steps, from the origin. Longest step `
        + `${formatNumber(this.normalised.maxStep, 2)}, ε = ${formatNumber(this.normalised.eps, 2)}.`
      : "";
    for (const name of ["undo", "clear", "save", "train"]) this.buttons[name].disabled = n === 0;
    this.redraw();
  }

  download() {
    const url = URL.createObjectURL(new Blob([svgText(this.strokes, "my-drawing")], { type: "image/svg+xml" }));
    element("a", { href: url, download: "my-drawing.svg" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
    this.say("my-drawing.svg was handed to the browser.");
  }

  forget() {
    Object.assign(this, { losses: [], distances: [], floor: NaN, seconds: 0, trajectories: [], distance: NaN, why: [] });
    if (this.chosen) this.chosen.textContent = "";
  }

  reset(text) {
    if (this.state !== "idle") this.post({ type: "pause" });
    this.run += 1; // what an older run still tells is dropped
    this.forget();
    this.complain("");
    this.become("idle");
    if (text) this.say(text);
    this.redraw();
  }

  become(state) {
    this.state = state;
    this.root.dataset.state = state;
    const faces = {
      idle: ["play", "Train"], training: ["pause", "Pause"], paused: ["play", "Resume"], done: ["restart", "Train again"],
    };
    this.buttons.train.set(faces[state]);
    this.buttons.reset.disabled = state === "idle";
  }

  press() {
    if (this.state === "training") {
      this.post({ type: "pause" });
      this.become("paused");
      this.readOut();
    } else if (this.state === "paused") {
      this.post({ type: "resume" });
      this.become("training");
    } else {
      this.reset("Training begins.");
      this.post({ type: "start", run: this.run, strokes: this.strokes, settings: this.settings });
      this.readOutAt = performance.now();
      this.become("training");
    }
  }

  post(message) {
    this.engine ??= connect(this.model.get("engine"), (answer) => this.received(answer));
    this.engine.then((engine) => {
      this.root.dataset.engine = engine.where;
      engine.post(message);
    }, (error) => this.complain(`Training cannot start here: ${error.message}`));
  }

  received({ type, run, ...told }) {
    if (run !== this.run || this.signal.aborted) return;
    if (type === "choice") {
      this.chosen.textContent = told.line;
      this.floor = told.floor;
    } else if (type === "progress") {
      this.losses.push(...told.losses);
      this.seconds = told.seconds;
    } else if (type === "trajectories") {
      Object.assign(this, { trajectories: told.states, distance: told.distance, why: told.why });
      this.distances.push(told.distance);
    } else if (type === "done") {
      this.become("done");
      this.readOut();
    } else if (type === "error") {
      this.become("done");
      this.complain(told.message);
    }
    const now = performance.now();
    if (this.state === "training" && now > this.readOutAt + READ_OUT_EVERY) this.readOut();
    if (this.state !== "training" || !prefersStillness() || now > this.drawnAt + STILL) this.redraw();
  }

  /** Tell Python and those who listen how far training has come. */
  readOut() {
    this.readOutAt = performance.now();
    if (!this.losses.length) return;
    const numbers = {
      epochs: this.losses.length, seconds: this.seconds, loss: this.losses.at(-1),
      distance: Number.isFinite(this.distance) ? this.distance : null,
      floor: Number.isFinite(this.floor) ? this.floor : null, ends: this.why,
    };
    this.set({ numbers });
    const strokes = numbers.floor === null ? "" : `, ${formatNumber(this.distance / this.floor, 2)} times that between strokes`;
    const ends = [...new Set(this.why)].join(" and ");
    this.say(`${numbers.epochs} updates, loss ${formatNumber(numbers.loss, 2)}, distance to the drawing `
      + `${formatNumber(this.distance, 2)}${strokes}. The trajectory's end: ${ends}.`);
  }

  /** Draw in the next frame, once. */
  redraw() {
    if (this.frameAsked || !this.colours) return;
    this.frameAsked = true;
    requestAnimationFrame((now) => {
      this.frameAsked = false;
      if (this.signal.aborted) return;
      this.drawnAt = now;
      drawPad(this);
      drawNormalised(this);
      drawTraining(this);
    });
  }
}

export default {
  render({ model, el }) {
    const controller = new AbortController();
    new Recorder(model, el, controller.signal);
    return () => controller.abort();
  },
};

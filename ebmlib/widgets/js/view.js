// What both widgets share: reading the policies, following the model, drawing when it is needed.

import { connect } from "./client.js";
import { Demonstrations } from "./demonstrations.js";
import { coloursOf, dropDown, element, followTheme } from "./page.js";

const SETTLED = 300; // milliseconds without change before numbers are told to Python and read out

/** Traits that say which policy is on display. */
export const CHOOSES_POLICY = ["dataset", "trained_k", "trained_alpha"];

/** The model behind a reference that ipywidgets serialised. */
async function referencedModel(model, reference) {
  if (typeof reference !== "string") return reference;
  return model.widget_manager.get_model(reference.replace(/^IPY_MODEL_/, ""));
}

/**
 * A widget's view. Subclasses give `build(root)`, `changed(name)`, `received(message)`, `draw()` and `settle()`
 * (tell Python and the reader; false while there is nothing to tell yet).
 * The engine starts when the widget comes near the window: pages with many widgets load fast.
 */
export class View {
  constructor(model, el, signal, traits) {
    Object.assign(this, { model, el, signal, traits, engine: null, waiting: [], frameAsked: false });
    this.version = {}; // newest version of every computation; answers to older ones are dropped
  }

  get(name) {
    return this.model.get(name);
  }

  /** Change traits here, and tell Python if there is one. */
  set(changes, save = true) {
    for (const [name, value] of Object.entries(changes)) this.model.set(name, value);
    if (save) this.model.save_changes();
  }

  async start(name) {
    const policies = await referencedModel(this.model, this.get("policies"));
    this.source = policies.get("engine");
    this.policies = policies.get("policies");
    this.demonstrations = Object.fromEntries(
      policies.get("datasets").map((data) => [data.name, new Demonstrations(data)]),
    );
    if (this.signal.aborted) return;
    this.root = element("section", { class: `ebm ebm-${name}`, "aria-label": this.title });
    this.root.view = this; // for other scripts of the page
    this.build(this.root);
    this.el.append(this.root);
    const refresh = () => {
      this.colours = coloursOf(this.root);
      this.recoloured?.();
      this.redraw();
    };
    followTheme(this.root, this.signal, refresh);
    for (const trait of this.traits) this.model.on(`change:${trait}`, () => this.changed(trait));
    const sized = new ResizeObserver(() => {
      this.colours = coloursOf(this.root);
      this.redraw();
    });
    sized.observe(this.root);
    const seen = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) {
        seen.disconnect();
        this.#connect();
      }
    }, { rootMargin: "300px" });
    seen.observe(this.root);
    this.signal.addEventListener("abort", () => {
      sized.disconnect();
      seen.disconnect();
      for (const engine of this.engines ?? []) engine.close();
      this.root.remove();
    });
  }

  /** Start the engines: as many workers as the view has a use for and the machine has cores. */
  async #connect() {
    const start = () => connect(this.source, (message) => this.#receive(message));
    const first = await start();
    const more = first.where === "worker" ? Math.min(this.parallel, navigator.hardwareConcurrency || 1) - 1 : 0;
    const engines = [first, ...await Promise.all(Array.from({ length: Math.max(0, more) }, start))];
    if (this.signal.aborted) {
      for (const engine of engines) engine.close();
      return;
    }
    this.engines = engines;
    [this.engine] = engines;
    this.known = new Map(engines.map((engine) => [engine, new Set()]));
    this.root.dataset.engine = first.where;
    for (const message of this.waiting.splice(0)) this.ask(message);
  }

  /** How many engines a view has a use for at most. */
  get parallel() {
    return 1;
  }

  /** The engine of a computation: the same one for everything with this id. */
  engineOf() {
    return this.engine;
  }

  /** Send to the engine, with the network before its first use; waits where there is no engine yet. */
  ask(message) {
    if (!this.engine) {
      this.waiting = this.waiting.filter((w) => w.id !== message.id || message.type === "extend");
      this.waiting.push(message);
      return;
    }
    const { network: key } = message;
    const engine = this.engineOf(message.id), known = this.known.get(engine);
    if (key !== undefined && !known.has(key)) {
      engine.post({ type: "network", key, network: this.policies[key].network });
      known.add(key);
    }
    engine.post(message);
  }

  /** Begin a computation; whatever an older one with this id still tells is dropped. */
  begin(message) {
    this.version[message.id] = (this.version[message.id] ?? 0) + 1;
    this.complain("");
    this.ask({ ...message, version: this.version[message.id] });
  }

  #receive(message) {
    if (message.error) this.complain(message.error);
    else if (message.version === undefined || message.version === this.version[message.id]) {
      this.received(message);
    }
  }

  /** Show what went wrong, or nothing. */
  complain(text) {
    this.alert ??= this.root.appendChild(element("p", { class: "ebm-alert", role: "alert" }));
    if (this.alert.textContent !== text) this.alert.textContent = text;
    this.alert.hidden = !text;
  }

  /** Draw in the next frame, once. */
  redraw() {
    if (this.frameAsked || !this.root) return;
    this.frameAsked = true;
    requestAnimationFrame((now) => {
      this.frameAsked = false;
      if (!this.signal.aborted && this.colours) this.draw(now);
    });
  }

  /** Call `settle` when all has been still for a moment; `root.dataset.settled` says so until then. */
  settleLater() {
    delete this.root.dataset.settled;
    clearTimeout(this.settling);
    this.settling = setTimeout(() => {
      if (!this.signal.aborted && this.settle()) this.root.dataset.settled = "";
    }, SETTLED);
  }

  /** The number (key for the engine) of the policy that the traits choose, or -1. */
  get policy() {
    const [dataset, trainedK, trainedAlpha] = CHOOSES_POLICY.map((name) => this.get(name));
    const fits = (p) => p.dataset === dataset && p.trained_k === trainedK;
    const exact = this.policies.findIndex((p) => fits(p) && p.alpha === trainedAlpha);
    return exact < 0 ? this.policies.findIndex(fits) : exact;
  }

  /** A control that chooses among the policies of the data set. */
  policyChoice() {
    return dropDown({ label: "policy trained with K", change: (number) => this.#choosePolicy(Number(number)) });
  }

  /** Offer the policies of the data set: by K, and by alpha where two have the same K. */
  offerPolicies(control) {
    const dataset = this.get("dataset");
    const offered = [...this.policies.entries()].filter(([, p]) => p.dataset === dataset);
    const ambiguous = (k) => offered.filter(([, p]) => p.trained_k === k).length > 1;
    const text = ({ trained_k: k, alpha }) => (ambiguous(k) ? `${k}, at α ${alpha}` : String(k));
    control.offer(offered.map(([number, p]) => [number, text(p)]));
    control.set(this.policy);
  }

  /** The chain takes the noise level of a policy that was trained with another one. */
  #choosePolicy(number) {
    const [before, policy] = [this.policies[this.policy], this.policies[number]];
    const changes = { trained_k: policy.trained_k, trained_alpha: policy.alpha };
    this.set(before?.alpha === policy.alpha ? changes : { ...changes, alpha: policy.alpha });
  }

  /** The traits that go with another data set: a policy of it, its noise level, K. */
  changesForDataset(dataset) {
    const known = this.policies.filter((p) => p.dataset === dataset);
    const policy = known.find((p) => p.trained_k === this.get("trained_k")) ?? known[0];
    const { trained_k, alpha } = policy;
    return { dataset, trained_k, trained_alpha: alpha, alpha, k: trained_k };
  }
}

/** A widget module around a view class. */
export function widgetOf(ViewClass) {
  return {
    async render({ model, el }) {
      const controller = new AbortController();
      await new ViewClass(model, el, controller.signal).start(ViewClass.shortName);
      return () => controller.abort();
    },
  };
}

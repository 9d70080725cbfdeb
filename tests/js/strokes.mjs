// Answers questions about the recorder: reads {folder, calls: [{name, ...}]} from the file named by the
// first argument, writes the answers as JSON to the second. Called by test_recorder.py.
import { readFileSync, writeFileSync } from "node:fs";

const { folder, calls } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { StrokeRecorder, dtwPerPoint, noisyCopies, normalise, svgText } = await import(`${folder}/strokes.js`);
const { TrainingSession } = await import(`${folder}/trainer.js`);
const { Random } = await import(`${folder}/random.js`);
const { KernelDensity, branchesOf, chooseRecipe, pairsOf } = await import(`${folder}/kernel.js`);
const { ActionGrid, Arrival, Gaussian, RankingTrainer, encode, modesOf, networkFor } = await import(`${folder}/recipe.js`);

const whole = (work) => {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
};
const doubles = (lines) => lines.map((line) => Float64Array.from(line));

const answers = {
  normalise({ strokes, steps, together }) {
    const { trajectories, ...rest } = normalise(strokes, steps, together);
    return { trajectories: trajectories.map((t) => Array.from(t)), ...rest };
  },

  svg: ({ strokes, title }) => svgText(strokes, title),

  record({ samples }) {
    const recorder = new StrokeRecorder();
    for (const sample of samples) recorder.add(...sample);
    return recorder.finish();
  },

  distance: ({ one, other }) => dtwPerPoint(one, other),

  copies: ({ path, copies, sigma, seed }) =>
    noisyCopies(Float64Array.from(path), copies, sigma, new Random(seed)).map((copy) => Array.from(copy)),

  branches: ({ trajectories }) => branchesOf(doubles(trajectories)),

  /** Widths that are chosen, or the score of those that are given, and moments at some states. */
  kernel({ trajectories, clock, widths, at = [] }) {
    const kernel = new KernelDensity(pairsOf(doubles(trajectories), clock));
    if (widths) {
      [kernel.stateWidths, kernel.actionWidth] = widths;
      kernel.nats = kernel.scorer()(...widths);
    } else {
      whole(kernel.fit());
    }
    const { nats, stateWidths, actionWidth } = kernel;
    const moments = at.map((state) => kernel.moments(kernel.standard.states(state), 0));
    return { nats, stateWidths, actionWidth, means: at.map((state) => kernel.mean(state)), moments };
  },

  choice({ trajectories }) {
    const { clock, forks, reasons } = whole(chooseRecipe(doubles(trajectories)));
    return { clock, forks, reasons };
  },

  gaussian: ({ mean, covariance, actions, normals }) => {
    const q = new Gaussian(mean, covariance);
    return { log: actions.map(([a, b]) => q.logProb(a, b)), places: normals.map(([u, v]) => q.place(u, v)) };
  },

  encode: ({ states, dx }) => Array.from(encode(Float64Array.from(states), dx)),

  /** Updates on batches that are given, {states, actions, logQ} each: losses, and weights before and after. */
  ranking({ trajectories, settings, batches }) {
    const kernel = new KernelDensity(pairsOf(doubles(trajectories), true));
    const net = networkFor(settings, kernel.dx, new Random(settings.seed, 1));
    const weights = () => net.layers().map(([name, { rows, columns, weight, bias }]) => (
      { name, shape: [rows, columns], weight: Array.from(weight), bias: bias && Array.from(bias) }
    ));
    const before = weights();
    const trainer = new RankingTrainer(net, kernel, settings);
    const losses = batches.map(({ states, actions, logQ }) =>
      trainer.updateOn(...doubles([states, actions, logQ])));
    return { before, losses, after: weights() };
  },

  modes: ({ actions, width, mass }) => {
    const grid = new ActionGrid(Float64Array.from(actions), width);
    if (!mass) return { points: Array.from(grid.points) };
    return { modes: modesOf(Float64Array.from(mass), grid) };
  },

  arrival: ({ trajectories, clock, points }) => {
    const end = new Arrival(doubles(trajectories), clock);
    const { radius, earliest, steps, horizon, away } = end;
    return { radius, earliest, steps, horizon, away, gaps: points.map((p) => end.toEnd(p)), left: points.map((p) => end.left(p)) };
  },

  /** A whole training, paused `pauses` times on the way. */
  session({ strokes, settings, slice, pauses = 0 }) {
    return new Promise((resolve, reject) => {
      const told = { losses: [], trajectories: [], distances: [], runs: [] };
      const begun = performance.now(), used = process.cpuUsage();
      const session = new TrainingSession(({ type, run, ...message }) => {
        if (!told.runs.includes(run)) told.runs.push(run);
        if (type === "choice") Object.assign(told, message);
        if (type === "progress") told.losses.push(...message.losses);
        if (type === "trajectories") {
          told.trajectories.push(message.states);
          told.distances.push(message.distance);
          told.why = message.why;
          if (pauses-- > 0) {
            session.receive({ type: "pause" });
            setTimeout(() => session.receive({ type: "resume" }), 20);
          }
        }
        if (type === "error") reject(new Error(message.message));
        if (type === "done") {
          session.close();
          const { user, system } = process.cpuUsage(used);
          resolve({ ...told, seconds: (performance.now() - begun) / 1000, cpuSeconds: (user + system) / 1e6 });
        }
      }, slice);
      session.receive({ type: "start", run: 7, strokes, settings });
    });
  },
};

const out = [];
for (const { name, ...call } of calls) out.push(await answers[name](call));
writeFileSync(process.argv[3], JSON.stringify(out));

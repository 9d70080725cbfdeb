// Answers questions about the recorder: reads {folder, calls: [{name, ...}]} from the file named by the
// first argument, writes the answers as JSON to the second. Called by test_recorder.py.
import { readFileSync, writeFileSync } from "node:fs";

const { folder, calls } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { StrokeRecorder, distanceBetween, noisyPairs, normalise, svgText } = await import(`${folder}/strokes.js`);
const { TrainingSession } = await import(`${folder}/trainer.js`);
const { Random } = await import(`${folder}/random.js`);

const answers = {
  normalise({ strokes, steps }) {
    const { trajectories, ...rest } = normalise(strokes, steps);
    return { trajectories: trajectories.map((t) => Array.from(t)), ...rest };
  },

  svg: ({ strokes, title }) => svgText(strokes, title),

  record({ samples }) {
    const recorder = new StrokeRecorder();
    for (const sample of samples) recorder.add(...sample);
    return recorder.finish();
  },

  distance: ({ one, other }) => distanceBetween(one, other),

  pairs({ trajectories, copies, sigma, seed }) {
    const lines = trajectories.map((t) => Float64Array.from(t));
    const { states, actions } = noisyPairs(lines, copies, sigma, new Random(seed));
    return { states: Array.from(states), actions: Array.from(actions) };
  },

  /** A whole training, paused `pauses` times on the way. */
  session({ strokes, settings, slice, pauses = 0 }) {
    return new Promise((resolve, reject) => {
      const told = { losses: [], trajectories: [], distances: [], runs: [] };
      const session = new TrainingSession(({ type, run, ...message }) => {
        if (!told.runs.includes(run)) told.runs.push(run);
        if (type === "progress") told.losses.push(...message.losses);
        if (type === "trajectories") {
          told.trajectories.push(message.states);
          told.distances.push(message.distance);
          if (pauses-- > 0) {
            session.receive({ type: "pause" });
            setTimeout(() => session.receive({ type: "resume" }), 20);
          }
        }
        if (type === "error") reject(new Error(message.message));
        if (type === "done") {
          session.close();
          resolve(told);
        }
      }, slice);
      session.receive({ type: "start", run: 7, strokes, settings });
    });
  },
};

const out = [];
for (const { name, ...call } of calls) out.push(await answers[name](call));
writeFileSync(process.argv[3], JSON.stringify(out));

// The living picture of a front page: trajectories that were computed before, played over and over.
//
// One figure holds an SVG that is whole without this script. Its data-frames are the positions of all
// trajectories after every action, int16 in base64; dots and tails are one path each.

/** Positions as the SVG's own units (n trajectories, t positions, 2). */
function decodedFrames(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 2 }, (_, i) => view.getInt16(2 * i, true) / 10);
}

/** Play the trajectories of a figure, until the signal (if any) ends it. */
export function playTrajectories(figure, { rate = 18, tail = 7, signal } = {}) {
  const { frames, count } = figure.dataset;
  const n = Number(count), points = decodedFrames(frames), t = points.length / (2 * n);
  const [tails, dots] = ["tails", "dots"].map((name) => figure.querySelector(`.ebm-live-${name}`));
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const print = window.matchMedia("print");
  const at = (i, j) => `${points[2 * (i * t + j)]} ${points[2 * (i * t + j) + 1]}`;
  let seen = false, began = 0, shown = -1, asked = false;
  const draw = (step) => {
    let lines = "", heads = "";
    for (let i = 0; i < n; i++) {
      const j = (step + Math.floor((i * t) / n)) % t; // one begins anew while the others go on
      heads += `M${at(i, j)}h0`;
      for (let k = Math.max(0, j - tail); k <= j; k++) lines += `${k === Math.max(0, j - tail) ? "M" : "L"}${at(i, k)}`;
    }
    dots.setAttribute("d", heads);
    tails.setAttribute("d", lines);
  };
  const tick = (now) => {
    asked = false;
    if (!seen || still.matches || print.matches || signal?.aborted) return;
    began ||= now;
    const step = Math.floor(((now - began) / 1000) * rate);
    if (step !== shown) draw((shown = step));
    ask();
  };
  const ask = () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(tick);
  };
  const watcher = new IntersectionObserver((entries) => {
    seen = entries.at(-1).isIntersecting;
    if (seen) ask();
  });
  watcher.observe(figure);
  still.addEventListener("change", ask);
  signal?.addEventListener("abort", () => watcher.disconnect());
}

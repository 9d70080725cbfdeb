// Milliseconds of one SGLD step of 300 particles: node tests/js/speed.mjs
import { Chain, Network, Random, Score, noiseStart } from "../../ebmlib/widgets/js/ebm.js";

for (const [z_dim, h_dim] of [[64, 128], [16, 32]]) {
  for (const plain of [false, true]) {
    const random = new Random(1);
    const score = new Score(Network.initialise({ z_dim, h_dim }, random), 300, { plain });
    score.setStates([0.3, -0.2], 300);
    const chain = new Chain(score, noiseStart(300, 2, 0.01, random), 2, { alpha: 0.01 }, random);
    const times = Array.from({ length: 60 }, () => {
      const begun = performance.now();
      chain.step();
      return performance.now() - begun;
    });
    const median = times.slice(20).sort((a, b) => a - b)[20];
    const how = score.arena.kernel ? "WebAssembly" : "JavaScript ";
    console.log(`z ${z_dim}, h ${h_dim}, ${how}  ${median.toFixed(2)} ms`);
  }
}

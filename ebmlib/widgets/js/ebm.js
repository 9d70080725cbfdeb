// The numerics of the book's widgets, in one module. README.md beside this file shows the API.

export { Arena, LANES, packMatrix, packTransposed, padded } from "./matmul.js";
export { Random } from "./random.js";
export { decodeFloat32 } from "./encoding.js";
export { Network, Score } from "./network.js";
export { Chain, EXP, ML, drive, gridActions, gridDensity, noiseFloor, noiseStart, rollout } from "./sampling.js";
export { Adam, Trainer, parameterGradients, zerosLike } from "./training.js";

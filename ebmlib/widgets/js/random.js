// Seeded random numbers: xoshiro128** (Blackman and Vigna 2021) seeded by splitmix32, normals by
// the Box-Muller transform. Same seed and stream, same numbers, in every browser: only the last
// bits of Math.log, Math.cos and Math.sin may differ between engines.

/** An independent generator for every (seed, stream), both whole numbers of at least 0. */
export class Random {
  constructor(seed, stream = 0) {
    let mix = (seed ^ Math.imul(stream + 1, 0x9e3779b9)) >>> 0;
    const next = () => {
      mix = (mix + 0x9e3779b9) >>> 0;
      let z = mix;
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
      return (z ^ (z >>> 16)) >>> 0;
    };
    this.state = new Uint32Array([next(), next(), next(), next()]);
  }

  /** 32 random bits. */
  bits() {
    const s = this.state;
    const five = Math.imul(s[1], 5);
    const result = Math.imul((five << 7) | (five >>> 25), 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 11) | (s[3] >>> 21);
    return result;
  }

  /** Uniform in (0, 1), both ends excluded. */
  uniform() {
    return (this.bits() + 0.5) / 4294967296;
  }

  /** Fill the first `count` places of an array with independent normals of mean 0, variance 1. */
  fillNormal(array, count = array.length) {
    for (let i = 0; i < count; i += 2) {
      const radius = Math.sqrt(-2 * Math.log(this.uniform()));
      const angle = 2 * Math.PI * this.uniform();
      array[i] = radius * Math.cos(angle);
      if (i + 1 < count) array[i + 1] = radius * Math.sin(angle);
    }
  }

  /** `count` different whole numbers below `n`, in random order (Fisher-Yates, first part). */
  choose(n, count) {
    const all = Uint32Array.from({ length: n }, (_, i) => i);
    for (let i = 0; i < count; i++) {
      const j = i + Math.floor(this.uniform() * (n - i));
      [all[i], all[j]] = [all[j], all[i]];
    }
    return all.subarray(0, count);
  }
}

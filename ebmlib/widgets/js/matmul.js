// Matrix products on panels, the one costly operation of everything here.
//
// A panel holds a quantity of `rows` components for n particles, four particles side by side:
// component i of particle 4 b + lane lies at ((b * rows) + i) * 4 + lane. Rows are padded to a
// multiple of four. A packed matrix holds four rows side by side: W[o][i] lies at
// ((o >> 2) * columns + i) * 4 + (o & 3).
//
// The product runs in WebAssembly with two-wide SIMD where that exists, else in plain JavaScript.
// Both add the same doubles in the same order, so results agree to the last bit.

export const LANES = 4;

/** The next multiple of four. */
export function padded(rows) {
  return (rows + 3) & ~3;
}

/** Pack a row-major matrix (rows x columns, rows `stride` apart) into `target`, zero-padded. */
export function packMatrix(matrix, rows, columns, target, stride = columns, offset = 0) {
  target.fill(0);
  for (let o = 0; o < rows; o++) {
    for (let i = 0; i < columns; i++) {
      target[((o >> 2) * columns + i) * 4 + (o & 3)] = matrix[offset + o * stride + i];
    }
  }
}

/** Pack the transpose of a row-major matrix (rows x columns): `target` has `columns` rows. */
export function packTransposed(matrix, rows, columns, target, stride = columns, offset = 0) {
  target.fill(0);
  for (let i = 0; i < columns; i++) {
    for (let o = 0; o < rows; o++) {
      target[((i >> 2) * rows + o) * 4 + (i & 3)] = matrix[offset + o * stride + i];
    }
  }
}

/** out += W x for every block of four particles, in plain JavaScript; see `Arena.multiply`. */
function multiplyPlain(w, x, out, rows, columns, xRows, blocks) {
  for (let b = 0; b < blocks; b++) {
    const from = b * xRows * 4;
    for (let o = 0; o < rows; o += 2) {
      // two rows at a time: eight sums are what fits in a processor's registers
      let q = (b * rows + o) * 4;
      let s0 = out[q], s1 = out[q + 1], s2 = out[q + 2], s3 = out[q + 3];
      let t0 = out[q + 4], t1 = out[q + 5], t2 = out[q + 6], t3 = out[q + 7];
      let r = (o >> 2) * columns * 4 + (o & 3);
      for (let i = 0, p = from; i < columns; i++, p += 4, r += 4) {
        const x0 = x[p], x1 = x[p + 1], x2 = x[p + 2], x3 = x[p + 3];
        const u = w[r], v = w[r + 1];
        s0 += u * x0; s1 += u * x1; s2 += u * x2; s3 += u * x3;
        t0 += v * x0; t1 += v * x1; t2 += v * x2; t3 += v * x3;
      }
      out[q] = s0; out[q + 1] = s1; out[q + 2] = s2; out[q + 3] = s3;
      q += 4;
      out[q] = t0; out[q + 1] = t1; out[q + 2] = t2; out[q + 3] = t3;
    }
  }
}

/** Unsigned LEB128, the integers of a WebAssembly binary. */
export function leb(value) {
  const bytes = [];
  do {
    bytes.push((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
    value >>>= 7;
  } while (value);
  return bytes;
}

/** The WebAssembly module of one function with the loops of `multiplyPlain`, as bytes. */
function kernelBinary() {
  // parameters, then i32 locals, then v128 locals
  const [W, X, OUT, ROWS, COLUMNS, XROWS, BLOCKS] = [0, 1, 2, 3, 4, 5, 6];
  const [o, i, w, x] = [7, 8, 9, 10];
  const [x0, x1, splat, sum] = [11, 12, 13, 14]; // eight sums: rows 0-3, lanes 01 and 23
  const I32 = 0x7f, V128 = 0x7b, VOID = 0x40;
  const get = (n) => [0x20, n];
  const set = (n) => [0x21, n];
  const int = (n) => [0x41, n];
  const [add, multiply, shift] = [0x6a, 0x6c, 0x74];
  const simd = (code, ...rest) => [0xfd, ...leb(code), ...rest];
  const load = (offset) => simd(0x00, 3, offset); // 3: aligned to 2^3 bytes
  const loadSplat = (offset) => simd(0x0a, 3, offset);
  const store = (offset) => simd(0x0b, 3, offset);
  const [times, plus] = [simd(0xf2), simd(0xf0)]; // f64x2.mul, f64x2.add
  const raise = (n, by) => [...get(n), ...int(by), add, ...set(n)];
  // loop { body; counter -= step; continue while counter > 0 }
  const loop = (counter, step, body) => [
    0x03, VOID, ...body, ...get(counter), ...int(step), 0x6b, 0x22, counter, ...int(0), 0x4a,
    0x0d, 0, 0x0b,
  ];
  const rows = [0, 1, 2, 3];
  const code = [
    ...loop(BLOCKS, 1, [
      ...get(W), ...set(w), ...get(ROWS), ...set(o),
      ...loop(o, 4, [
        ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap((s) => [...get(OUT), ...load(16 * s), ...set(sum + s)]),
        ...get(X), ...set(x), ...get(COLUMNS), ...set(i),
        ...loop(i, 1, [
          ...get(x), ...load(0), ...set(x0), ...get(x), ...load(16), ...set(x1),
          ...rows.flatMap((r) => [
            ...get(w), ...loadSplat(8 * r), ...set(splat),
            ...[x0, x1].flatMap((lanes, half) => [
              ...get(sum + 2 * r + half), ...get(splat), ...get(lanes), ...times, ...plus,
              ...set(sum + 2 * r + half),
            ]),
          ]),
          ...raise(x, 32), ...raise(w, 32),
        ]),
        ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap((s) => [...get(OUT), ...get(sum + s), ...store(16 * s)]),
        ...get(OUT), 0x41, 0x80, 0x01, add, ...set(OUT), // 0x80 0x01: 128 as signed LEB128
      ]),
      ...get(X), ...get(XROWS), ...int(5), shift, add, ...set(X),
    ]),
    0x0b,
  ];
  const body = [2, 4, I32, 11, V128, ...code]; // x0, x1, splat and eight sums are v128
  const section = (id, bytes) => [id, ...leb(bytes.length), ...bytes];
  return new Uint8Array([
    0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, [1, 0x60, 7, I32, I32, I32, I32, I32, I32, I32, 0]), // type: seven i32 to nothing
    ...section(2, [1, 1, 0x65, 1, 0x6d, 2, 0, 0]), // import memory "m" of "e"
    ...section(3, [1, 0]),
    ...section(7, [1, 1, 0x66, 0, 0]), // export function "f"
    ...section(10, [1, ...leb(body.length), ...body]),
  ]);
}

let compiledKernel; // undefined: not tried; null: not possible here

/** The kernel bound to a memory of `bytes`, or null where WebAssembly or its SIMD is missing. */
function instantiateKernel(bytes) {
  if (compiledKernel === undefined) {
    try {
      compiledKernel = new WebAssembly.Module(kernelBinary());
    } catch {
      compiledKernel = null;
    }
  }
  if (compiledKernel === null) return null;
  try {
    const m = new WebAssembly.Memory({ initial: Math.max(1, Math.ceil(bytes / 65536)) });
    return { buffer: m.buffer, f: new WebAssembly.Instance(compiledKernel, { e: { m } }).exports.f };
  } catch {
    return null; // no memory to be had just now: this one does without
  }
}

/** Memory of a fixed number of doubles, and products of panels that lie in it. */
export class Arena {
  /** @param {number} size doubles in all  @param {boolean} plain  do without WebAssembly */
  constructor(size, plain = false) {
    const kernel = plain ? null : instantiateKernel(8 * size);
    this.buffer = kernel ? kernel.buffer : new ArrayBuffer(8 * size);
    this.kernel = kernel ? kernel.f : null;
    this.used = 0;
    this.pairs = false; // whether `multiply` takes an even number of blocks only
  }

  /** The next `count` doubles, zero. */
  take(count) {
    const view = new Float64Array(this.buffer, 8 * this.used, count);
    this.used += count;
    return view;
  }

  /**
   * out += W x, panel by panel.
   * @param {Float64Array} w packed matrix (rows x columns)
   * @param {Float64Array} x panel; its first `columns` rows are read
   * @param {Float64Array} out panel of exactly `rows` rows, a multiple of four
   * @param {number} xRows rows of x
   * @param {number} blocks number of blocks of four particles
   */
  multiply(w, x, out, rows, columns, xRows, blocks) {
    if (this.kernel) {
      this.kernel(w.byteOffset, x.byteOffset, out.byteOffset, rows, columns, xRows, blocks);
    } else {
      multiplyPlain(w, x, out, rows, columns, xRows, blocks);
    }
  }
  /** SiLU of the first `end` pre-activations in `s`, into `out` (which may be `s`); its derivatives into `slope`. */
  silu(s, out, slope, end) {
    for (let i = 0; i < end; i++) {
      const v = s[i], e = Math.exp(-Math.abs(v)), larger = 1 / (1 + e), smaller = e * larger;
      const sigma = v < 0 ? smaller : larger;
      slope[i] = sigma * (1 + v * (v < 0 ? larger : smaller)); // the other one is 1 - sigma
      out[i] = v * sigma;
    }
  }

  /** target (rows x columns, row-major) += sum over particles of delta x input^T, from panels. */
  addOuter(delta, deltaRows, input, inputRows, rows, columns, blocks, target, stride, offset) {
    for (let b = 0; b < blocks; b++) {
      for (let o = 0; o < rows; o++) {
        const d = (b * deltaRows + o) * LANES;
        const d0 = delta[d], d1 = delta[d + 1], d2 = delta[d + 2], d3 = delta[d + 3];
        if (d0 === 0 && d1 === 0 && d2 === 0 && d3 === 0) continue;
        for (let i = 0, x = b * inputRows * LANES, t = o * stride + offset; i < columns; i++, x += LANES, t++) {
          target[t] += d0 * input[x] + d1 * input[x + 1] + d2 * input[x + 2] + d3 * input[x + 3];
        }
      }
    }
  }
}

// Single precision, four numbers at a time: what makes training and rollouts fast in the page.
//
// The arena's panels are float32 and its three loops are WebAssembly, written out byte by byte: the
// matrix product of panels, SiLU with its derivative, and the sums of outer products that gradients
// by the weights are. Where WebAssembly or its SIMD is missing there is no such arena, and who asked
// for one uses the doubles of matmul.js. Results differ from those in the last digits of a float32, and
// between browsers with and without relaxed SIMD.

import { Arena, LANES, leb } from "./matmul.js";

const LIST = 8192; // the most columns of a matrix: room for their list
const I32 = 0x7f, V128 = 0x7b, VOID = 0x40;
const get = (n) => [0x20, n];
const set = (n) => [0x21, n];
const int = (n) => [0x41, ...signedLeb(n)];
const raise = (n, ...by) => [...get(n), ...by, 0x6a, ...set(n)];
const times = (n, factor) => [...get(n), ...int(factor), 0x6c];
const simd = (code, ...rest) => [0xfd, ...leb(code), ...rest];
const load = (offset) => simd(0x00, 2, ...leb(offset));
const loadSplat = (offset) => simd(0x09, 2, ...leb(offset));
const store = (offset) => simd(0x0b, 2, ...leb(offset));
const splat = (value) => [0x43, ...new Uint8Array(Float32Array.of(value).buffer), ...simd(0x13)];
const [PLUS, MINUS, TIMES, OVER, LEAST, MOST] = [0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9].map((code) => simd(code));
const NEAREST = simd(0x6a), TO_INT = simd(0xf8), INT_PLUS = simd(0xae), NEGATE = simd(0xe1);

/** sum += factor * lanes; `fused` in one instruction where the processor has one (relaxed SIMD). */
const addProduct = (sum, factor, lanes, fused) => (fused
  ? [...get(factor), ...get(lanes), ...get(sum), ...simd(0x105), ...set(sum)]
  : [...get(sum), ...get(factor), ...get(lanes), ...TIMES, ...PLUS, ...set(sum)]);

/** Signed LEB128. */
function signedLeb(value) {
  const bytes = [];
  for (;;) {
    const byte = value & 0x7f;
    value >>= 7;
    if ((value === 0 && !(byte & 0x40)) || (value === -1 && byte & 0x40)) return [...bytes, byte];
    bytes.push(byte | 0x80);
  }
}

/** loop { body; counter -= step; continue while counter > 0 } */
const repeat = (counter, step, body) => [
  0x03, VOID, ...body, ...get(counter), ...int(step), 0x6b, 0x22, counter, ...int(0), 0x4a, 0x0d, 0, 0x0b,
];

/** A function of seven i32: eight more and eleven v128 (from VECTORS on) are its locals. */
const body = (code) => {
  const bytes = [2, 8, I32, 11, V128, ...code, 0x0b];
  return [...leb(bytes.length), ...bytes];
};
const VECTORS = 15;

/**
 * out += W x for pairs of blocks: four rows and eight particles at a time. Where a component is zero for
 * all eight, as half of them are after ReLU, nothing is added: the places of the others are listed
 * first, from address 0 on.
 */
function multiplyCode(fused) {
  const [W, X, OUT, ROWS, COLUMNS, XROWS, BLOCKS] = [0, 1, 2, 3, 4, 5, 6];
  const [o, i, w, end, second, x, at] = [7, 8, 9, 10, 11, 12, 13];
  const [x0, x1, factor, sum] = [0, 1, 2, 3].map((v) => VECTORS + v); // eight sums: row r of both blocks
  const rows = [0, 1, 2, 3];
  // the second block lies XROWS and ROWS vectors behind the first one
  const behind = (pointer, count) => [...get(pointer), ...times(count, 16), 0x6a];
  return body(repeat(BLOCKS, 2, [
    ...int(0), ...set(end), ...int(0), ...set(at), ...behind(X, XROWS), ...set(second), ...get(COLUMNS), ...set(i),
    ...repeat(i, 1, [
      ...get(end), ...get(at), 0x36, 2, 0, // i32.store
      ...get(end),
      ...get(X), ...get(at), 0x6a, ...load(0), ...get(second), ...get(at), 0x6a, ...load(0),
      ...simd(0x50), ...simd(0x53), ...int(4), 0x6c, 0x6a, ...set(end), // + 4 if any of the eight is not 0
      ...raise(at, ...int(16)),
    ]),
    ...get(end), 0x45, 0x04, VOID, ...int(0), ...int(0), 0x36, 2, 0, ...int(4), ...set(end), 0x0b, // none: 0 will do
    ...get(W), ...set(w), ...get(ROWS), ...set(o),
    ...repeat(o, 4, [
      ...rows.flatMap((r) => [...get(OUT), ...load(16 * r), ...set(sum + r)]),
      ...rows.flatMap((r) => [...behind(OUT, ROWS), ...load(16 * r), ...set(sum + 4 + r)]),
      ...get(end), ...set(i),
      ...repeat(i, 4, [
        ...get(end), ...get(i), 0x6b, 0x28, 2, 0, ...set(at), // i32.load
        ...get(X), ...get(at), 0x6a, ...load(0), ...set(x0),
        ...get(second), ...get(at), 0x6a, ...load(0), ...set(x1),
        ...get(w), ...get(at), 0x6a, ...set(x),
        ...rows.flatMap((r) => [
          ...get(x), ...loadSplat(4 * r), ...set(factor),
          ...[x0, x1].flatMap((lanes, half) => [
            ...addProduct(sum + 4 * half + r, factor, lanes, fused),
          ]),
        ]),
      ]),
      ...rows.flatMap((r) => [...get(OUT), ...get(sum + r), ...store(16 * r)]),
      ...rows.flatMap((r) => [...behind(OUT, ROWS), ...get(sum + 4 + r), ...store(16 * r)]),
      ...raise(OUT, ...int(64)), ...raise(w, ...times(COLUMNS, 16)),
    ]),
    ...raise(OUT, ...times(ROWS, 16)), ...raise(X, ...times(XROWS, 32)),
  ]));
}

/**
 * The sums over blocks of delta_o x_i, lane by lane: for four o and two i at a time eight vectors,
 * (o, i), (o, i + 1), (o + 1, i) ...
 */
function outerCode(fused) {
  const [DELTA, X, OUT, ROWS, XROWS, BLOCKS, xs] = [0, 1, 2, 3, 4, 5, 6];
  const [o, i, b, delta] = [7, 8, 9, 10];
  const [x0, x1, factor, sum] = [0, 1, 2, 3].map((v) => VECTORS + v);
  const rows = [0, 1, 2, 3];
  return body([...get(ROWS), ...set(o), ...repeat(o, 4, [
    ...get(XROWS), ...set(i),
    ...repeat(i, 2, [
      ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap((s) => [...splat(0), ...set(sum + s)]),
      ...get(X), ...get(XROWS), ...get(i), 0x6b, ...int(16), 0x6c, 0x6a, ...set(xs),
      ...get(DELTA), ...get(ROWS), ...get(o), 0x6b, ...int(16), 0x6c, 0x6a, ...set(delta),
      ...get(BLOCKS), ...set(b),
      ...repeat(b, 1, [
        ...get(xs), ...load(0), ...set(x0), ...get(xs), ...load(16), ...set(x1),
        ...rows.flatMap((r) => [
          ...get(delta), ...load(16 * r), ...set(factor),
          ...[x0, x1].flatMap((lanes, half) => [
            ...addProduct(sum + 2 * r + half, factor, lanes, fused),
          ]),
        ]),
        ...raise(xs, ...times(XROWS, 16)), ...raise(delta, ...times(ROWS, 16)),
      ]),
      ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap((s) => [...get(OUT), ...get(sum + s), ...store(16 * s)]),
      ...raise(OUT, ...int(128)),
    ]),
  ])]);
}

/**
 * s sigma(s) and its derivative sigma (1 + s (1 - sigma)). exp(-s) = 2^k 2^f with k whole and
 * |f| <= 1/2: the Taylor polynomial of 2^f of degree 6 is right to 2e-7, and k is added to the
 * exponent's bits.
 */
function siluCode() {
  const [S, OUT, SLOPE, COUNT] = [0, 1, 2, 3];
  const [v, y, k, sigma] = [0, 1, 2, 3].map((n) => VECTORS + n);
  const powers = [1];
  for (let n = 1; n <= 6; n++) powers.push((powers[n - 1] * Math.LN2) / n);
  const [top, ...lower] = powers.reverse();
  return body(repeat(COUNT, 4, [
    ...get(S), ...load(0), ...set(v),
    ...get(v), ...NEGATE, ...splat(Math.LOG2E), ...TIMES, ...splat(126), ...LEAST, ...splat(-126), ...MOST, ...set(y),
    ...get(y), ...NEAREST, ...set(k), ...get(y), ...get(k), ...MINUS, ...set(y),
    ...splat(top), ...lower.flatMap((c) => [...get(y), ...TIMES, ...splat(c), ...PLUS]),
    ...get(k), ...TO_INT, ...int(23), ...simd(0xab), ...INT_PLUS, // 2^f, its exponent raised by k
    ...set(sigma), ...splat(1), ...splat(1), ...get(sigma), ...PLUS, ...OVER, ...set(sigma),
    ...get(OUT), ...get(v), ...get(sigma), ...TIMES, ...store(0),
    ...get(SLOPE),
    ...splat(1), ...get(sigma), ...MINUS, ...get(v), ...TIMES, ...splat(1), ...PLUS, ...get(sigma), ...TIMES,
    ...store(0),
    ...raise(S, ...int(16)), ...raise(OUT, ...int(16)), ...raise(SLOPE, ...int(16)),
  ]));
}

function singleBinary(fused) {
  const section = (id, bytes) => [id, ...leb(bytes.length), ...bytes];
  const name = (text) => [1, text.charCodeAt(0)];
  return new Uint8Array([
    0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, [1, 0x60, 7, I32, I32, I32, I32, I32, I32, I32, 0]),
    ...section(2, [1, ...name("e"), ...name("m"), 2, 0, 0]),
    ...section(3, [3, 0, 0, 0]),
    ...section(7, [3, ...name("m"), 0, 0, ...name("o"), 0, 1, ...name("s"), 0, 2]),
    ...section(10, [3, ...multiplyCode(fused), ...outerCode(fused), ...siluCode()]),
  ]);
}

let compiledSingle; // undefined: not tried; null: not possible here

/** An arena of `size` float32 with the loops above, or null where they cannot run. */
export function singleArena(size) {
  if (compiledSingle === null) return null;
  try {
    compiledSingle ??= new WebAssembly.Module(singleBinary(WebAssembly.validate(singleBinary(true))));
    const m = new WebAssembly.Memory({ initial: Math.ceil((4 * (size + LIST)) / 65536) });
    return new SingleArena(m.buffer, new WebAssembly.Instance(compiledSingle, { e: { m } }).exports);
  } catch {
    compiledSingle ??= null;
    return null;
  }
}

/** What Arena is, of float32; blocks come in pairs. */
class SingleArena extends Arena {
  constructor(buffer, loops) {
    super(0, true);
    Object.assign(this, { buffer, loops, kernel: loops.m, pairs: true, used: LIST });
  }

  take(count) {
    const view = new Float32Array(this.buffer, 4 * this.used, count);
    this.used += (count + LANES - 1) & -LANES;
    return view;
  }

  silu(s, out, slope, end) {
    this.loops.s(s.byteOffset, out.byteOffset, slope.byteOffset, end, 0, 0, 0);
  }

  addOuter(delta, deltaRows, input, inputRows, rows, columns, blocks, target, stride, offset) {
    const needed = deltaRows * inputRows * LANES;
    if (!(this.sums?.length >= needed)) throw new Error("no room for sums of outer products");
    const { sums } = this;
    this.loops.o(delta.byteOffset, input.byteOffset, sums.byteOffset, deltaRows, inputRows, blocks, 0);
    for (let o = 0; o < rows; o++) {
      for (let i = 0, t = o * stride + offset; i < columns; i++, t++) {
        const at = (((o >> 2) * (inputRows >> 1) + (i >> 1)) * 8 + (o & 3) * 2 + (i & 1)) * LANES;
        target[t] += sums[at] + sums[at + 1] + sums[at + 2] + sums[at + 3];
      }
    }
  }
}

// How numbers travel inside JSON: ebmlib.widgets.export.

/** float32 numbers, little endian, from base64. */
export function decodeFloat32(base64) {
  const text = atob(base64);
  const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

/** Are these the same bytes? Four at a time: tensors have hundreds of megabytes. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  const aligned = a.byteOffset % 4 === 0 && b.byteOffset % 4 === 0;
  const words = aligned ? a.length >> 2 : 0;
  const x = new Uint32Array(a.buffer, aligned ? a.byteOffset : 0, words);
  const y = new Uint32Array(b.buffer, aligned ? b.byteOffset : 0, words);
  for (let i = 0; i < words; i++) if (x[i] !== y[i]) return false;
  for (let i = 4 * words; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

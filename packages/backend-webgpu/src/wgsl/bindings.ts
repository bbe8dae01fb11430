import type { Access, Kernel, Program } from '@mamba-ts/tensor';
import type { PassBinding } from '../pass';
import { type BufferBinding, elementType, type Lanes } from './body';

/** Loop indices of dimensions first … first + sizes.length - 1 from a row-major position (u32 expression). */
export function coordinates(sizes: readonly number[], first: number, position: string, suffix: string): string[] {
  const lines = [`var rest${suffix} = ${position};`];
  for (let d = sizes.length - 1; d >= 0; d--) {
    if (d === 0) lines.push(`let i${first}${suffix} = i32(rest${suffix});`);
    else lines.push(`let i${first + d}${suffix} = i32(rest${suffix} % ${sizes[d]}u);`, `rest${suffix} = rest${suffix} / ${sizes[d]}u;`);
  }
  return lines;
}

/** One binding per distinct slot of a kernel step: a buffer that is updated in place is read and written through the same one. */
export function bindBuffers(
  { kernel, buffers }: { kernel: Kernel; buffers: readonly (number | null)[] },
  program: Program,
  lanes: Lanes,
  prefix = 'b',
  /** Slots that are bound already, and the variable's name: arrays of single elements. */
  bound: ReadonlyMap<number, string> = new Map(),
): { buffers: (BufferBinding | null)[]; bindings: PassBinding[] } {
  const slots = [...new Set(buffers.filter((s) => s !== null))];
  const of = (accesses: readonly Access[], slot: number): Access[] => accesses.filter((a) => buffers[a.buffer] === slot);
  const bindings = slots.map((slot, i): PassBinding => {
    const stores = of(kernel.stores.map((s) => s.access), slot);
    const known = bound.get(slot);
    const wide = elementType(of(kernel.loads, slot), stores, lanes);
    const { bytes } = program.slots[slot];
    // A vector needs 16 bytes to bind; an empty array, which guards keep from being read, has but a place.
    const type = wide === 'vec4<f32>' && (known !== undefined || bytes === 0) ? 'f32' : wide;
    return { name: known ?? `${prefix}${i}`, type, resource: { kind: 'slot', slot, offset: 0, bytes }, writes: stores.length > 0 };
  });
  return { buffers: buffers.map((slot) => (slot === null ? null : bindings[slots.indexOf(slot)])), bindings };
}

export function indent(lines: readonly string[]): string {
  return lines.map((line) => `  ${line}`).join('\n');
}

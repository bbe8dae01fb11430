import type { PassBinding } from '../../pass';
import type { StepMemory } from '../../routine';
import { BodyPrinter, type Lanes, oneLane } from '../../wgsl/body';
import { bindBuffers } from '../../wgsl/bindings';
import type { Problem } from './problem';

/** What becomes of results: `finish(batch, row, column, x)` stores four neighbours of a row or, where rows can't be cut so, one element. */
export interface Finish {
  readonly bindings: readonly PassBinding[];
  readonly declarations: string;
  /** Elements that one call takes. */
  readonly lanes: 1 | 4;
}

/** Slots of the factors that the epilogue also touches: they are read element by element, through one binding. */
export function sharedWithEpilogue(memory: StepMemory): { a: boolean; b: boolean } {
  const slots = memory.epilogue?.buffers ?? [];
  return { a: slots.includes(memory.inputSlot(0)), b: slots.includes(memory.inputSlot(1)) };
}

export function finishOf({ m, n }: Problem, memory: StepMemory): Finish {
  const { epilogue } = memory;
  const lanes: Lanes = n % 4 === 0 ? { kind: 'inner', count: 4, dim: 2 } : oneLane;
  const count = lanes.count as 1 | 4;
  const type = count === 4 ? 'vec4<f32>' : 'f32';
  const head = `fn finish(batch: u32, row: u32, column: u32, x: ${type}) {`;
  if (!epilogue) {
    const out = memory.output(0, 'out', type);
    const at = `(batch * ${m}u + row) * ${n}u + column`;
    return { bindings: [out], declarations: `${head}\n  out[${count === 4 ? `(${at}) / 4u` : at}] = x;\n}`, lanes: count };
  }
  const fixed = new Map(
    (['a', 'b'] as const).flatMap((name, i) => {
      const slot = memory.inputSlot(i);
      return sharedWithEpilogue(memory)[name] && slot !== null ? [[slot, name] as const] : [];
    }),
  );
  const { buffers, bindings } = bindBuffers(epilogue, memory.program, lanes, 'e', fixed);
  const body = new BodyPrinter(epilogue.kernel, buffers, lanes, (d) => `i${d}`, { loaded: (lane) => (count === 4 ? `x.${'xyzw'[lane]}` : 'x') });
  body.instructions(epilogue.kernel.body, 0);
  body.stores('body');
  const indices = ['batch', 'row', 'column'].map((name, d) => `let i${d} = i32(${name});`);
  return { bindings, declarations: `${head}\n${[...indices, ...body.lines].map((l) => `  ${l}`).join('\n')}\n}`, lanes: count };
}

/** Calls `finish` for the elements of a row that lie inside the matrix; `x` names four neighbours. */
export function finishRow({ lanes }: Finish, { n }: Problem, batch: string, row: string, column: string, x: string): string {
  if (lanes === 4) return `if (${column} < ${n}u) { finish(${batch}, ${row}, ${column}, ${x}); }`;
  return [0, 1, 2, 3].map((e) => `if (${column} + ${e}u < ${n}u) { finish(${batch}, ${row}, ${column} + ${e}u, ${x}.${'xyzw'[e]}); }`).join(' ');
}

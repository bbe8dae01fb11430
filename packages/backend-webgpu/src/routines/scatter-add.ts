import type { RoutineCall } from '@mamba-ts/tensor';
import type { Pass, PassBinding } from '../pass';
import { align256, inputSpec, type WebGpuRoutine } from '../routine';
import { raiseFault } from './fault-code';

/** Columns that one invocation keeps the sums of. */
const columnsEach = 4;
/** Workgroups that keep a large device busy, and the fewest chunks of ids that are worth one. */
const enoughGroups = 8192;
const fewestChunks = 16;

interface Plan {
  readonly rows: number;
  readonly width: number;
  readonly count: number;
  /** Invocations of a workgroup, and ids of a chunk. */
  readonly size: number;
  /** Blocks of columns. */
  readonly blocks: number;
  /** Slices of the ids, which add up on their own, and chunks of each. */
  readonly slices: number;
  readonly chunks: number;
}

function planOf(call: RoutineCall): Plan {
  const [rows, width] = call.outputs[0].shape;
  const [count] = inputSpec(call, 1).shape;
  const size = width <= 128 || count <= 64 ? 64 : 256;
  const blocks = Math.ceil(width / (size * columnsEach));
  const chunks = Math.ceil(count / size);
  // Sums of slices take no more memory than a quarter of the updates.
  const wanted = Math.max(1, Math.floor(Math.min(enoughGroups / (rows * blocks), chunks / fewestChunks, count / (4 * rows))));
  const each = Math.ceil(chunks / wanted);
  return { rows, width, count, size, blocks, slices: Math.max(1, Math.ceil(chunks / each)), chunks: each };
}

/**
 * A workgroup per row of the result (and block of columns, and slice of the ids) looks through the ids, a chunk at a time: invocations mark the hits in a
 * bit set, then all add the marked updates up in ascending order. Slices are added up in order. No float atomics: bit-identical from run to run.
 */
export const scatterAdd: WebGpuRoutine = {
  scratchBytes(call) {
    const { rows, width, slices } = planOf(call);
    return slices > 1 ? align256(slices * rows * width * 4) : 0;
  },
  passes(call, memory) {
    const p = planOf(call);
    if (p.rows * p.width === 0) return [];
    const out = memory.output(0, 'out', 'f32');
    if (p.count === 0) return [hitsPass(p, [], out)];
    const inputs = [memory.input(0, 'updates', 'f32'), memory.input(1, 'ids', 'i32'), memory.fault('fault')];
    if (p.slices === 1) return [hitsPass(p, inputs, out)];
    const partial = memory.scratch('partial', 'f32', 0, p.slices * p.rows * p.width * 4, true);
    return [hitsPass(p, inputs, { ...partial, name: 'out' }), slicesPass(p, { ...partial, writes: false }, out)];
  },
};

/** Sums of each slice: out [slice][row][column]. Without inputs, zeros. */
function hitsPass({ rows, width, count, size, blocks, slices, chunks }: Plan, inputs: readonly PassBinding[], out: PassBinding): Pass {
  const columns = Array.from({ length: columnsEach }, (_, k) => ({ name: `sum${k}`, at: `first + ${k * size}u` })).filter((_, k) => k * size < width);
  const body = `  let row = (group / ${blocks}u) % ${rows}u;
  let slice = group / ${blocks * rows}u;
  let first = (group % ${blocks}u) * ${size * columnsEach}u + lane;
${columns.map((c) => `  var ${c.name} = 0.0f;`).join('\n')}
${count === 0 ? '' : `  for (var chunk = slice * ${chunks}u; chunk < (slice + 1u) * ${chunks}u; chunk++) {
    if (lane < ${size / 32}u) { atomicStore(&hits[lane], 0u); }
    workgroupBarrier();
    let mine = chunk * ${size}u + lane;
    if (mine < ${count}u) {
      let id = ids[mine];
      if (id == i32(row)) { atomicOr(&hits[lane / 32u], 1u << (lane % 32u)); }
      if (group % ${blocks * rows}u == 0u && (id < 0i || id >= ${rows}i)) { raise_fault(2u, id, mine, ${rows}u); }
    }
    workgroupBarrier();
    for (var word = 0u; word < ${size / 32}u; word++) {
      var bits = atomicLoad(&hits[word]);
      while (bits != 0u) {
        let from_row = (chunk * ${size}u + word * 32u + firstTrailingBit(bits)) * ${width}u;
        bits = bits & (bits - 1u);
${columns.map((c) => `        if (${c.at} < ${width}u) { ${c.name} += updates[from_row + ${c.at}]; }`).join('\n')}
      }
    }
    workgroupBarrier();
  }
`}${columns.map((c) => `  if (${c.at} < ${width}u) { out[(slice * ${rows}u + row) * ${width}u + ${c.at}] = ${c.name}; }`).join('\n')}`;
  return {
    label: `wgsl scatter-add, a workgroup a row${slices > 1 ? ` and slice of ${slices}` : ''}`,
    bindings: [...inputs, out],
    declarations: count === 0 ? '' : `${raiseFault}\nvar<workgroup> hits: array<atomic<u32>, ${size / 32}>;`,
    body,
    workgroupSize: size,
    workgroups: rows * blocks * slices,
  };
}

/** Adds the slices up in order. */
function slicesPass({ rows, width, slices }: Plan, partial: PassBinding, out: PassBinding): Pass {
  const total = rows * width;
  return {
    label: 'sum of slices',
    bindings: [partial, out],
    body: `  let at = group * 64u + lane;
  if (at >= ${total}u) { return; }
  var sum = 0.0f;
  for (var s = 0u; s < ${slices}u; s++) { sum += partial[s * ${total}u + at]; }
  out[at] = sum;`,
    workgroupSize: 64,
    workgroups: Math.ceil(total / 64),
  };
}

import { inputSpec, type WebGpuRoutine } from '../routine';
import { raiseFault } from './fault-code';

/** Columns that one invocation keeps the sums of. */
const columnsEach = 4;

/**
 * A workgroup per row of the result (and block of columns) looks through all ids, a chunk at a time: invocations mark the hits in a bit set, then
 * all add the marked updates up in ascending order. No float atomics: bit-identical from run to run.
 */
export const scatterAdd: WebGpuRoutine = {
  passes(call, memory) {
    const [rows, width] = call.outputs[0].shape;
    const [count] = inputSpec(call, 1).shape;
    if (rows * width === 0) return [];
    const size = width <= 128 || count <= 64 ? 64 : 256;
    const blocks = Math.ceil(width / (size * columnsEach));
    const chunks = Math.ceil(count / size);
    const inputs = count === 0 ? [] : [memory.input(0, 'updates', 'f32'), memory.input(1, 'ids', 'i32')];
    const columns = Array.from({ length: columnsEach }, (_, k) => ({ name: `sum${k}`, at: `first + ${k * size}u` })).filter((_, k) => k * size < width);
    const body = `  let row = group / ${blocks}u;
  let first = (group % ${blocks}u) * ${size * columnsEach}u + lane;
${columns.map((c) => `  var ${c.name} = 0.0f;`).join('\n')}
${count === 0 ? '' : `  for (var chunk = 0u; chunk < ${chunks}u; chunk++) {
    if (lane < ${size / 32}u) { atomicStore(&hits[lane], 0u); }
    workgroupBarrier();
    let mine = chunk * ${size}u + lane;
    if (mine < ${count}u) {
      let id = ids[mine];
      if (id == i32(row)) { atomicOr(&hits[lane / 32u], 1u << (lane % 32u)); }
      if (group == 0u && (id < 0i || id >= ${rows}i)) { raise_fault(2u, id, mine, ${rows}u); }
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
`}${columns.map((c) => `  if (${c.at} < ${width}u) { out[row * ${width}u + ${c.at}] = ${c.name}; }`).join('\n')}`;
    return [
      {
        label: 'wgsl scatter-add, a workgroup a row',
        bindings: [...inputs, memory.output(0, 'out', 'f32'), ...(count === 0 ? [] : [memory.fault('fault')])],
        declarations: count === 0 ? '' : `${raiseFault}\nvar<workgroup> hits: array<atomic<u32>, ${size / 32}>;`,
        body,
        workgroupSize: size,
        workgroups: rows * blocks,
      },
    ];
  },
};

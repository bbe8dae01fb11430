import type { Pass } from '../pass';
import { align256, inputSpec, type StepMemory, type WebGpuRoutine } from '../routine';
import { orderKey } from './descending';

/** Elements of a row that a workgroup sorts in its own memory: 8 bytes each, and every device has 16 KiB. */
const localWidth = 2048;
const threads = 256;

const padded = (width: number): number => 2 ** Math.ceil(Math.log2(Math.max(2, width)));

/**
 * Bitonic networks over (key, place) pairs, of which no two are equal: so the order is the stable one. Rows are padded to a power of two with
 * pairs that come last. Short rows are sorted in workgroup memory; long ones by a dispatch per stage.
 */
export const sort: WebGpuRoutine = {
  scratchBytes(call) {
    const [rows, width] = inputSpec(call, 0).shape;
    return padded(width) <= localWidth ? 0 : 2 * align256(rows * padded(width) * 4);
  },
  passes(call, memory) {
    const [rows, width] = inputSpec(call, 0).shape;
    if (rows === 0) return [];
    return padded(width) <= localWidth ? [localSort(rows, width, memory)] : globalSort(rows, width, memory);
  },
};

const before = (a: string, b: string): string => `(keys[${a}] > keys[${b}] || (keys[${a}] == keys[${b}] && places[${a}] < places[${b}]))`;

/** Exchanges pair `i` of a stage if it stands the wrong way round. \`base\` is the row's first element. */
function exchange(i: string, size: string, distance: string, base: string): string {
  return `let low = ${base} + (${i} / ${distance}) * ${distance} * 2u + ${i} % ${distance};
    let high = low + ${distance};
    let forward = (((low - ${base}) / ${size}) & 1u) == 0u;
    if (${before('high', 'low')} == forward) {
      let key = keys[low]; keys[low] = keys[high]; keys[high] = key;
      let place = places[low]; places[low] = places[high]; places[high] = place;
    }`;
}

function localSort(rows: number, width: number, memory: StepMemory): Pass {
  const n = padded(width);
  const size = Math.min(threads, Math.max(32, n / 2));
  return {
    label: 'wgsl bitonic sort in workgroup memory',
    bindings: [memory.input(0, 'x', 'f32'), memory.output(0, 'values', 'f32'), memory.output(1, 'indices', 'i32')],
    declarations: `${orderKey}\nvar<workgroup> keys: array<u32, ${n}>;\nvar<workgroup> places: array<u32, ${n}>;`,
    body: `  let row = group * ${width}u;
  for (var i = lane; i < ${n}u; i += ${size}u) {
    keys[i] = 0u;
    if (i < ${width}u) { keys[i] = order_key(x[row + i]); }
    places[i] = i;
  }
  workgroupBarrier();
  for (var block = 2u; block <= ${n}u; block = block * 2u) {
    for (var distance = block / 2u; distance > 0u; distance = distance / 2u) {
      for (var i = lane; i < ${n / 2}u; i += ${size}u) {
    ${exchange('i', 'block', 'distance', '0u')}
      }
      workgroupBarrier();
    }
  }
  for (var i = lane; i < ${width}u; i += ${size}u) {
    values[row + i] = x[row + places[i]];
    indices[row + i] = i32(places[i]);
  }`,
    workgroupSize: size,
    workgroups: rows,
  };
}

function globalSort(rows: number, width: number, memory: StepMemory): Pass[] {
  const n = padded(width);
  const bytes = rows * n * 4;
  const pairs = (writes: boolean): Pass['bindings'] => [memory.scratch('keys', 'u32', 0, bytes, writes), memory.scratch('places', 'u32', align256(bytes), bytes, writes)];
  const pass = (count: number, bindings: Pass['bindings'], body: string): Pass => ({
    label: 'wgsl bitonic sort, a dispatch a stage',
    bindings,
    declarations: body.includes('order_key(') ? orderKey : '',
    body: `  let at = group * ${threads}u + lane;\n  if (at >= ${count}u) { return; }\n${body}`,
    workgroupSize: threads,
    workgroups: Math.ceil(count / threads),
  });
  const passes = [
    pass(rows * n, [memory.input(0, 'x', 'f32'), ...pairs(true)], `  let place = at % ${n}u;
  keys[at] = 0u;
  if (place < ${width}u) { keys[at] = order_key(x[(at / ${n}u) * ${width}u + place]); }
  places[at] = place;`),
  ];
  for (let block = 2; block <= n; block *= 2) {
    for (let distance = block / 2; distance >= 1; distance /= 2) {
      passes.push(pass((rows * n) / 2, pairs(true), `  let base = (at / ${n / 2}u) * ${n}u;\n    ${exchange(`(at % ${n / 2}u)`, `${block}u`, `${distance}u`, 'base')}`));
    }
  }
  passes.push(
    pass(rows * width, [memory.input(0, 'x', 'f32'), memory.output(0, 'values', 'f32'), memory.output(1, 'indices', 'i32'), ...pairs(false).slice(1)], `  let row = at / ${width}u;
  let place = places[row * ${n}u + at % ${width}u];
  values[at] = x[row * ${width}u + place];
  indices[at] = i32(place);`),
  );
  return passes;
}

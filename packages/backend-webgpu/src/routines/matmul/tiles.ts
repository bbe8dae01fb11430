import type { Pass, PassBinding } from '../../pass';
import type { StepMemory } from '../../routine';
import { type Finish, finishRow } from './finish';
import { blockLoader, factorType, type Problem } from './problem';

/** A tile of the result and how it is divided: every invocation has `rows` by `columns` (multiples of 4) of it in registers. */
export interface Tile {
  readonly m: number;
  readonly n: number;
  /** Depth of the slabs of a and b that are staged in workgroup memory, a multiple of 4. */
  readonly k: number;
  readonly rows: number;
  readonly columns: number;
}

export function tileThreads(t: Tile): number {
  return (t.m / t.rows) * (t.n / t.columns);
}

/** Bytes of workgroup memory. */
export function tileBytes(t: Tile): number {
  return t.k * (rowStride(t.m) + rowStride(t.n)) * 16;
}

/** Vectors from one k to the next in workgroup memory: one more than there are, which spreads the transposed stores over the banks. */
function rowStride(outer: number): number {
  return outer / 4 + 1;
}

/** Slices that k is cut into, a multiple of the slab each. */
export interface Split {
  readonly slices: number;
  readonly chunk: number;
}

const components = ['x', 'y', 'z', 'w'] as const;

/** The product tile by tile. With more than one slice, partial results go to \`partial\`, [slice][batch][m][n]. */
export function tilePass(p: Problem, tile: Tile, split: Split, memory: StepMemory, finish: Finish, partial: PassBinding | null): Pass {
  const threads = tileThreads(tile);
  const tilesM = Math.ceil(p.m / tile.m);
  const tilesN = Math.ceil(p.n / tile.n);
  const across = tile.n / tile.columns;
  const factors = [p.a, p.b] as const;
  const outers = { a: tile.m, b: tile.n };
  const strides = { a: rowStride(tile.m), b: rowStride(tile.n) };
  // Which 4 by 4 block each invocation fetches, one after the other.
  const blocks = factors.flatMap((f) => {
    const count = (outers[f.name] * tile.k) / 16;
    return Array.from({ length: Math.ceil(count / threads) }, (_, u) => ({ f, count, first: u * threads, id: `${f.name}${u}` }));
  });
  // Small slabs: some invocations fetch from a, others from b.
  const shareTurns = (tile.m * tile.k) / 16 + (tile.n * tile.k) / 16 <= threads;
  const place = blocks.flatMap(({ f, first, id, count }) => {
    const outerBlocks = outers[f.name] / 4;
    const offset = shareTurns && f.name === 'b' ? (tile.m * tile.k) / 16 : 0;
    const number = offset > 0 ? `(lane - ${offset}u)` : first > 0 ? `(lane + ${first}u)` : 'lane';
    // Neighbours read neighbouring memory.
    const [o, q] = f.along === 'outer' ? [`${number} % ${outerBlocks}u`, `${number} / ${outerBlocks}u`] : [`${number} / ${tile.k / 4}u`, `${number} % ${tile.k / 4}u`];
    const active = offset > 0 ? `lane >= ${offset}u && lane < ${offset + count}u` : first + threads > count ? `lane < ${count - first}u` : 'true';
    return [`let on_${id} = ${active};`, `let o_${id} = ${o};`, `let q_${id} = (${q}) * 4u;`, ...[0, 1, 2, 3].map((i) => `var l_${id}_${i}: vec4<f32>;`)];
  });
  const fetch = (from: string): string[] =>
    blocks.flatMap(({ f, id }) => {
      const origin = f.name === 'a' ? 'row0' : 'column0';
      const load = (i: number): string =>
        f.along === 'outer'
          ? `l_${id}_${i} = load_${f.name}(batch, ${origin} + o_${id} * 4u, ${from} + q_${id} + ${i}u);`
          : `l_${id}_${i} = load_${f.name}(batch, ${origin} + o_${id} * 4u + ${i}u, ${from} + q_${id});`;
      return [`if (on_${id}) {`, ...[0, 1, 2, 3].map((i) => `  ${load(i)}`), '}'];
    });
  const stage = blocks.flatMap(({ f, id }) => {
    const at = (i: number): string => `slab_${f.name}[(q_${id} + ${i}u) * ${strides[f.name]}u + o_${id}]`;
    const value = (i: number): string =>
      f.along === 'outer' ? `l_${id}_${i}` : `vec4<f32>(${[0, 1, 2, 3].map((j) => `l_${id}_${j}.${components[i]}`).join(', ')})`;
    return [`if (on_${id}) {`, ...[0, 1, 2, 3].map((i) => `  ${at(i)} = ${value(i)};`), '}'];
  });
  const rowGroups = tile.rows / 4;
  const columnGroups = tile.columns / 4;
  const multiply = [
    `for (var kk = 0u; kk < ${tile.k}u; kk++) {`,
    ...Array.from({ length: rowGroups }, (_, g) => `  let x${g} = slab_a[kk * ${strides.a}u + ty + ${(g * tile.m) / tile.rows}u];`),
    ...Array.from({ length: columnGroups }, (_, g) => `  let y${g} = slab_b[kk * ${strides.b}u + tx + ${(g * tile.n) / tile.columns}u];`),
    ...Array.from({ length: tile.rows }, (_, r) =>
      Array.from({ length: columnGroups }, (__, g) => `  c${r}_${g} = x${r >> 2}.${components[r & 3]} * y${g} + c${r}_${g};`),
    ).flat(),
    '}',
  ];
  const { slices, chunk } = split;
  const end = slices > 1 ? 'end' : `${p.k}u`;
  const begin = slices > 1 ? `slice * ${chunk}u` : '0u';
  // While a slab is multiplied, the next one is on its way into registers.
  const loop = [
    `for (var k0 = ${begin}; k0 < ${end}; k0 += ${tile.k}u) {`,
    ...stage.map((l) => `  ${l}`),
    '  workgroupBarrier();',
    `  if (k0 + ${tile.k}u < ${end}) {`,
    ...fetch(`k0 + ${tile.k}u`).map((l) => `    ${l}`),
    '  }',
    ...multiply.map((l) => `  ${l}`),
    '  workgroupBarrier();',
    '}',
  ];
  const results = Array.from({ length: tile.rows }, (_, r) => {
    const row = `row0 + (ty + ${((r >> 2) * tile.m) / tile.rows}u) * 4u + ${r & 3}u`;
    const stores = Array.from({ length: columnGroups }, (__, g) => {
      const column = `(column0 + (tx + ${(g * tile.n) / tile.columns}u) * 4u)`;
      if (!partial) return finishRow(finish, p, 'batch', `(${row})`, column, `c${r}_${g}`);
      return storePartial(p, finish.lanes, `(${row})`, column, `c${r}_${g}`);
    });
    return p.m % tile.m === 0 ? stores.join('\n') : `if (${row} < ${p.m}u) {\n${stores.join('\n')}\n}`;
  });
  const body = [
    // Neighbouring workgroups walk down a band of columns: what they share stays in the cache.
    `let tile = group % ${tilesM * tilesN}u;`,
    `let row0 = (tile % ${tilesM}u) * ${tile.m}u;`,
    `let column0 = (tile / ${tilesM}u) * ${tile.n}u;`,
    `let batch = (group / ${tilesM * tilesN}u) % ${p.batch}u;`,
    slices > 1 ? `let slice = group / ${tilesM * tilesN * p.batch}u;\nlet end = min((slice + 1u) * ${chunk}u, ${p.k}u);` : '',
    ...threadPlace(across, threads),
    ...place,
    ...Array.from({ length: tile.rows }, (_, r) => Array.from({ length: columnGroups }, (__, g) => `var c${r}_${g} = vec4<f32>();`)).flat(),
    ...fetch(begin),
    ...loop,
    ...results,
  ];
  const inputs = p.k === 0 ? [] : [memory.input(0, 'a', factorType(p.a)), memory.input(1, 'b', factorType(p.b))];
  return {
    label: `wgsl matmul, tile ${tile.m}x${tile.n}x${tile.k}, ${tile.rows}x${tile.columns} each${slices > 1 ? `, k in ${slices}` : ''}`,
    bindings: [...inputs, ...(partial ? [partial] : finish.bindings)],
    declarations: [
      `var<workgroup> slab_a: array<vec4<f32>, ${tile.k * strides.a}>;`,
      `var<workgroup> slab_b: array<vec4<f32>, ${tile.k * strides.b}>;`,
      ...factors.map(blockLoader),
      partial ? '' : finish.declarations,
    ].join('\n'),
    body: body.map((l) => `  ${l}`).join('\n'),
    workgroupSize: threads,
    workgroups: tilesM * tilesN * p.batch * slices,
  };
}

/** Where in the tile an invocation stands: 8 by 4 within each group of 32, so that these read few vectors of workgroup memory at a time. */
function threadPlace(across: number, threads: number): string[] {
  if (across < 8 || threads < 32) return [`let tx = lane % ${across}u;`, `let ty = lane / ${across}u;`];
  const wide = across / 8;
  return [`let tx = lane % 8u + 8u * ((lane / 32u) % ${wide}u);`, `let ty = (lane / 8u) % 4u + 4u * (lane / ${32 * wide}u);`];
}

function storePartial({ batch, m, n }: Problem, lanes: 1 | 4, row: string, column: string, x: string): string {
  const at = `((slice * ${batch}u + batch) * ${m}u + ${row}) * ${n}u + ${column}`;
  if (lanes === 4) return `if (${column} < ${n}u) { partial[(${at}) / 4u] = ${x}; }`;
  return components.map((c, e) => `if (${column} + ${e}u < ${n}u) { partial[${at} + ${e}u] = ${x}.${c}; }`).join(' ');
}

/** Adds the slices up in order. */
export function joinPass(p: Problem, slices: number, finish: Finish, partial: PassBinding): Pass {
  const { lanes } = finish;
  const total = p.batch * p.m * p.n;
  const count = total / lanes;
  return {
    label: 'join slices',
    bindings: [{ ...partial, writes: false }, ...finish.bindings],
    declarations: finish.declarations,
    body: `  let at = group * 64u + lane;
  if (at >= ${count}u) { return; }
  var sum = partial[at];
  for (var s = 1u; s < ${slices}u; s++) { sum += partial[s * ${count}u + at]; }
  let element = at * ${lanes}u;
  finish(element / ${p.m * p.n}u, (element / ${p.n}u) % ${p.m}u, element % ${p.n}u, sum);`,
    workgroupSize: 64,
    workgroups: Math.ceil(count / 64),
  };
}

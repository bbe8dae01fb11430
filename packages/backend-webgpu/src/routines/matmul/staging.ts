import { elementAt, type Factor, type Problem, vectorOf } from './problem';
import { slabStride, type Split, type Tile } from './tile';

const components = ['x', 'y', 'z', 'w'] as const;
const four = [0, 1, 2, 3] as const;

/** How slabs of both factors come from memory into registers, and from there into workgroup memory. Text of WGSL. */
export interface Staging {
  /** Once: where this invocation reads and the registers. */
  readonly declare: readonly string[];
  /** The slab at k = `from` (an expression), into registers. */
  fetch(from: string): readonly string[];
  /** Registers into `slab_a` and `slab_b`, transposed so that four neighbours outside k are one vector. */
  readonly store: readonly string[];
}

/** A block of four neighbours outside k by four of k, which one invocation moves. `id` names its variables. */
interface Block {
  readonly factor: Factor;
  readonly id: string;
  /** Registers: blocks that different invocations move share theirs. */
  readonly registers: string;
  readonly number: string;
  readonly active: string | null;
}

export function stagingOf(p: Problem, tile: Tile, split: Split, threads: number): Staging {
  const count = { a: (tile.m * tile.k) / 16, b: (tile.n * tile.k) / 16 };
  // Small slabs: some invocations fetch from a, others from b.
  const takeTurns = count.a + count.b <= threads;
  const blocks: Block[] = [];
  for (const factor of [p.a, p.b]) {
    const { name } = factor;
    if (takeTurns) {
      const first = name === 'a' ? 0 : count.a;
      blocks.push({ factor, id: name, registers: 'l', number: first > 0 ? `(lane - ${first}u)` : 'lane', active: first > 0 ? `lane >= ${first}u && lane < ${first + count.b}u` : `lane < ${count.a}u` });
      continue;
    }
    for (let first = 0; first < count[name]; first += threads) {
      const active = first + threads > count[name] ? `lane < ${count[name] - first}u` : null;
      blocks.push({ factor, id: `${name}${first}`, registers: `l_${name}${first}`, number: first > 0 ? `(lane + ${first}u)` : 'lane', active });
    }
  }
  const whole = p.k % tile.k === 0 && p.k === split.slices * split.chunk;
  const guarded = ({ id, active }: Block, lines: readonly string[]): string[] => (active ? [`if (on_${id}) {`, ...lines.map((l) => `  ${l}`), '}'] : [...lines]);
  return {
    declare: [
      ...[...new Set(blocks.map((b) => b.registers))].flatMap((r) => four.map((i) => `var ${r}_${i}: vec4<f32>;`)),
      ...blocks.flatMap((b) => placeOf(b, tile)),
    ],
    fetch: (from) => blocks.flatMap((b) => guarded(b, fetchBlock(b, from, whole))),
    store: blocks.flatMap((b) => guarded(b, storeBlock(b))),
  };
}

/** Which block, and the element at which each of its four rows begins in the slab at k = 0. Neighbours read neighbouring memory. */
function placeOf({ factor, id, number, active }: Block, tile: Tile): string[] {
  const { name, outer, k, along, shared, vectors } = factor;
  const extent = name === 'a' ? tile.m : tile.n;
  const [o, q] = along === 'outer' ? [`${number} % ${extent / 4}u`, `${number} / ${extent / 4}u`] : [`${number} / ${tile.k / 4}u`, `${number} % ${tile.k / 4}u`];
  const origin = name === 'a' ? 'row0' : 'column0';
  // Outer indices beyond the matrix read its last ones, whose results are not stored.
  const inside = (index: string, last: number): string => (outer % extent === 0 ? `(${index})` : `min(${index}, ${last}u)`);
  const base = shared ? '' : `batch * ${outer * k}u + `;
  const unit = vectors ? ' / 4u' : '';
  const start = (i: number): string =>
    along === 'k'
      ? `(${base}${inside(`${origin} + o_${id} * 4u + ${i}u`, outer - 1)} * ${k}u + q_${id})${unit}`
      : `(${base}(q_${id} + ${i}u) * ${outer}u + ${inside(`${origin} + o_${id} * 4u`, Math.max(0, outer - (vectors ? 4 : 1)))})${unit}`;
  const lines = [`let o_${id} = ${o};`, `let q_${id} = (${q}) * 4u;`, ...four.map((i) => `let at_${id}_${i} = ${start(i)};`)];
  if (active) lines.unshift(`let on_${id} = ${active};`);
  // Elements of the block's rows that follow the first inside the matrix.
  if (along === 'outer' && !vectors) lines.push(`let left_${id} = ${outer - 1}u - ${inside(`${origin} + o_${id} * 4u`, outer - 1)};`);
  return lines;
}

function fetchBlock({ factor, id, registers }: Block, from: string, whole: boolean): string[] {
  const { outer, k, along, vectors } = factor;
  const zeroBeyond = (index: string, lines: readonly string[], zeros: readonly string[]): string[] =>
    whole ? [...lines] : [`if (${index} < ${k}u) {`, ...lines.map((l) => `  ${l}`), '} else {', ...zeros.map((l) => `  ${l}`), '}'];
  const zero = (i: number): string => `${registers}_${i} = vec4<f32>();`;
  const p = `${from} + q_${id}`;
  if (vectors) {
    const step = along === 'k' ? `(${from}) / 4u` : `(${from}) * ${outer / 4}u`;
    const load = (i: number): string => `${registers}_${i} = ${vectorOf(factor, `at_${id}_${i} + ${step}`)};`;
    return along === 'k' ? zeroBeyond(p, four.map(load), four.map(zero)) : four.flatMap((i) => zeroBeyond(`${p} + ${i}u`, [load(i)], [zero(i)]));
  }
  if (along === 'outer') {
    // The last index is repeated beyond the matrix.
    const element = (i: number, e: number): string => `at_${id}_${i} + (${from}) * ${outer}u + min(${e}u, left_${id})`;
    return four.flatMap((i) => zeroBeyond(`${p} + ${i}u`, four.map((e) => `${registers}_${i}.${components[e]} = ${elementAt(factor, element(i, e))};`), [zero(i)]));
  }
  return four.flatMap((e) =>
    zeroBeyond(
      `${p} + ${e}u`,
      four.map((i) => `${registers}_${i}.${components[e]} = ${elementAt(factor, `at_${id}_${i} + ${from} + ${e}u`)};`),
      four.map((i) => `${registers}_${i}.${components[e]} = 0.0;`),
    ),
  );
}

function storeBlock({ factor, id, registers }: Block): string[] {
  return four.map((i) => {
    const value = factor.along === 'outer' ? `${registers}_${i}` : `vec4<f32>(${four.map((j) => `${registers}_${j}.${components[i]}`).join(', ')})`;
    return `slab_${factor.name}[q_${id} + ${i}u][o_${id}] = ${value};`;
  });
}

/** The workgroup memory that `Staging.store` fills: [k][vector]. */
export function slabs(tile: Tile): string {
  return (['a', 'b'] as const).map((name) => `var<workgroup> slab_${name}: array<array<vec4<f32>, ${slabStride(name === 'a' ? tile.m : tile.n)}>, ${tile.k}>;`).join('\n');
}

import { elementAt, type Factor, firstElement, type Problem, vectorOf } from './problem';
import { slabStride, type Split, type Tile } from './tile';

const components = ['x', 'y', 'z', 'w'] as const;
const four = [0, 1, 2, 3] as const;

/** How slabs of both factors come from memory into registers, and from there into workgroup memory. Text of WGSL. */
export interface Staging {
  /** Once: where this invocation reads, and the registers. */
  readonly declare: readonly string[];
  /** The slab at k = `from` (an expression), into registers. */
  fetch(from: string): readonly string[];
  /** Registers into `slab_a` and `slab_b`: [k][vector of four neighbours outside k]. */
  readonly store: readonly string[];
}

/** Four neighbours in memory, which one invocation moves: `o` names the first index outside k, `q` the first along k, both within the slab. */
interface Piece {
  readonly factor: Factor;
  /** Indices of the tile outside k. */
  readonly extent: number;
  readonly id: string;
  readonly number: string;
  /** Which invocations take part; null: all. */
  readonly active: string | null;
}

export function stagingOf(p: Problem, tile: Tile, split: Split, threads: number): Staging {
  const pieces = ([p.a, p.b] as const).flatMap((factor): Piece[] => {
    const extent = factor.name === 'a' ? tile.m : tile.n;
    const count = (extent * tile.k) / 4;
    return Array.from({ length: Math.ceil(count / threads) }, (_, turn) => {
      const first = turn * threads;
      const active = first + threads > count ? `lane < ${count - first}u` : null;
      return { factor, extent, id: `${factor.name}${turn}`, number: first > 0 ? `(lane + ${first}u)` : 'lane', active };
    });
  });
  const whole = p.k % tile.k === 0 && p.k === split.slices * split.chunk;
  const where = ({ id, active }: Piece, lines: readonly string[]): string[] => (active ? [`if (on_${id}) {`, ...lines, '}'] : [...lines]);
  return {
    declare: pieces.flatMap((piece) => place(piece, tile)),
    fetch: (from) => pieces.flatMap((piece) => where(piece, fetch(piece, from, whole))),
    store: pieces.flatMap((piece) => where(piece, store(piece))),
  };
}

/** Neighbours read neighbouring memory. `at` is where the piece lies in the slab at k = 0, in vectors or elements. */
function place({ factor, extent, id, number, active }: Piece, tile: Tile): string[] {
  const { name, outer, along, pitch, vectors } = factor;
  const across = along === 'k' ? tile.k / 4 : extent / 4;
  const [o, q] = along === 'k' ? [`${number} / ${across}u`, `(${number} % ${across}u) * 4u`] : [`(${number} % ${across}u) * 4u`, `${number} / ${across}u`];
  const index = `${name === 'a' ? 'row0' : 'column0'} + o_${id}`;
  // Outer indices beyond the matrix read its last ones, whose results are not stored.
  const last = along === 'outer' && vectors ? outer - 4 : outer - 1;
  const inside = outer % extent === 0 ? `(${index})` : `min(${index}, ${last}u)`;
  const [line, within] = along === 'k' ? [inside, `q_${id}`] : [`q_${id}`, inside];
  const at = `${firstElement(factor)} + ${line} * ${pitch}u + ${within}`;
  return [
    `let o_${id} = ${o};`,
    `let q_${id} = ${q};`,
    `let at_${id} = ${vectors ? `(${at}) / 4u` : at};`,
    // Elements inside the matrix that follow the first.
    ...(along === 'outer' && !vectors ? [`let left_${id} = ${outer - 1}u - ${inside};`] : []),
    ...(active ? [`let on_${id} = ${active};`] : []),
    `var l_${id}: vec4<f32>;`,
  ];
}

/** @param whole k is a multiple of slabs; else there are zeros beyond it */
function fetch({ factor, id }: Piece, from: string, whole: boolean): string[] {
  const { k, along, pitch, vectors } = factor;
  const zeroBeyond = (index: string, target: string, value: string, zero: string): string =>
    whole ? `${target} = ${value};` : `if (${index} < ${k}u) { ${target} = ${value}; } else { ${target} = ${zero}; }`;
  const p = `${from} + q_${id}`;
  if (vectors) {
    const step = along === 'k' ? `(${from}) / 4u` : `(${from}) * ${pitch / 4}u`;
    return [zeroBeyond(p, `l_${id}`, vectorOf(factor, `at_${id} + ${step}`), 'vec4<f32>()')];
  }
  return four.map((e) => {
    const element = along === 'k' ? `at_${id} + ${from} + ${e}u` : `at_${id} + (${from}) * ${pitch}u + min(${e}u, left_${id})`;
    return zeroBeyond(along === 'k' ? `${p} + ${e}u` : p, `l_${id}.${components[e]}`, elementAt(factor, element), '0.0');
  });
}

function store({ factor: { name, along }, id }: Piece): string[] {
  if (along === 'outer') return [`slab_${name}[q_${id}][o_${id} / 4u] = l_${id};`];
  return four.map((e) => `slab_${name}[q_${id} + ${e}u][o_${id} / 4u][o_${id} % 4u] = l_${id}.${components[e]};`);
}

/** The workgroup memory that `Staging.store` fills. */
export function slabs(tile: Tile): string {
  return (['a', 'b'] as const).map((name) => `var<workgroup> slab_${name}: array<array<vec4<f32>, ${slabStride(name === 'a' ? tile.m : tile.n)}>, ${tile.k}>;`).join('\n');
}

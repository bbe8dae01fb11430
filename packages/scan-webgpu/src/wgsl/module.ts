// What every kernel's WGSL begins with: bindings, sizes, and functions that hide where an array is and how it is stored.
import type { ScanDtype, ScanArray, ScratchArray, ElementType } from '../arrays';
import { numbers } from './numbers';

/** An array as one kernel sees it. */
export interface KernelArray {
  readonly name: ScanArray | ScratchArray;
  readonly type: ElementType;
  /** A binding of its own, or a part of the scratch. */
  readonly place: 'binding' | 'scratch';
  readonly access: 'read' | 'write' | 'read_write';
  /** Rows are the states of a channel or group. */
  readonly rows: boolean;
}

/** What a kernel's WGSL is made from, and all that it depends on: kernels with equal options are the same text. */
export interface KernelOptions {
  readonly kind: 'forward' | 'ends' | 'adjoint' | 'adjointEnds' | 'combine' | 'backward' | 'reduce' | 'copy';
  readonly complex: boolean;
  readonly dState: number;
  readonly dtype: ScanDtype;
  readonly softplus: boolean;
  readonly variableB: boolean;
  readonly variableC: boolean;
  readonly grouped: boolean;
  /** Invocations of a workgroup, and those that share a channel, four states each. */
  readonly workgroup: number;
  readonly lanes: number;
  /** Subgroups of a workgroup that share its channels and take tiles of steps in turn; 1: all walk over the same steps. */
  readonly team: number;
  /** Steps of a tile, which is printed as straight code, and steps between checkpoints. */
  readonly steps: number;
  readonly chunk: number;
  /** Rows of states, and the scratch, are arrays of vectors: real numbers, four for each lane. */
  readonly vectors: boolean;
  /** How lanes tell each other about time steps and sums. */
  readonly exchange: 'memory' | 'subgroups';
  /** Where a lane reads variable B and C: in the array itself, in a copy of the tile in workgroup memory, or from its neighbours. */
  readonly coefficients: 'array' | 'memory' | 'subgroups';
  /** Straight code for the steps of a tile, and loads a tile ahead, instead of loops. */
  readonly unrolled: boolean;
  /** Backward: steps whose dB and dC are summed over channels at once. */
  readonly batch: number;
  /** Inputs and outputs may be parts of one buffer, which WebGPU allows only where none is declared read-only. */
  readonly oneBuffer: boolean;
  readonly arrays: readonly KernelArray[];
}

/** Counts and offsets that a kernel gets in its uniform buffer, in this order, then `at_NAME` of each array in scratch. */
const sizeFields: readonly SizeField[] = [
  ...(['workgroups', 'batch', 'length', 'channels', 'groups', 'perGroup', 'rows', 'rowOffset', 'tiles'] as const),
  ...(['segments', 'segmentSteps', 'chunks', 'parts', 'tilesPerPart', 'count', 'reverse'] as const),
];
export type SizeField =
  | ('workgroups' | 'batch' | 'length' | 'channels' | 'groups' | 'perGroup' | 'rows' | 'rowOffset' | 'tiles')
  | ('segments' | 'segmentSteps' | 'chunks' | 'parts' | 'tilesPerPart' | 'count' | 'reverse')
  | `at_${string}`
  | `sum${string}`;

/** Sums of a reduction, in the order of its table. */
export const reducedGradients = ['gradA', 'gradB', 'gradC', 'gradD', 'gradDeltaBias'] as const;
const sumFields = ['from', 'to', 'rows', 'columns', 'rowsPerSplit', 'first', 'groups'] as const;

/** Fields of the uniform block of a kernel: 32-bit unsigned integers. */
export function uniformFields({ kind, arrays }: KernelOptions): readonly SizeField[] {
  const scratch = arrays.filter((array) => array.place === 'scratch').map(({ name }): SizeField => `at_${name}`);
  const sums = reducedGradients.flatMap((_, index) => sumFields.map((field): SizeField => `sum${index}_${field}`));
  return [...sizeFields, ...scratch, ...(kind === 'reduce' ? sums : [])];
}

export function hasArray(options: KernelOptions, name: ScanArray | ScratchArray): boolean {
  return options.arrays.some((array) => array.name === name);
}

/** Reals per state. */
export function widthOf({ complex }: KernelOptions): number {
  return complex ? 2 : 1;
}

/** Arrays with bindings of their own, in order; the scratch comes behind them, the sizes last. */
export function boundArrays(options: KernelOptions): readonly KernelArray[] {
  return options.arrays.filter((array) => array.place === 'binding');
}

export function usesScratch(options: KernelOptions): boolean {
  return options.arrays.some((array) => array.place === 'scratch');
}

/** Is the binding of this array, or of the scratch, declared read-only? */
export function isReadOnly(options: KernelOptions, array: KernelArray): boolean {
  return !options.oneBuffer && array.access === 'read';
}

function declareBindings(options: KernelOptions): string {
  const lines = boundArrays(options).map((array, index) => {
    const type = array.rows && options.vectors ? `vec4<${array.type}>` : array.type;
    const access = isReadOnly(options, array) ? 'read' : 'read_write';
    return `@group(0) @binding(${index}) var<storage, ${access}> ${array.name}: array<${type}>;`;
  });
  const next = lines.length;
  const scratchType = options.vectors ? 'vec4f' : 'f32';
  if (usesScratch(options))
    lines.push(`@group(0) @binding(${next}) var<storage, read_write> scratch: array<${scratchType}>;`);
  lines.push(
    `struct Sizes { ${uniformFields(options)
      .map((field) => `${field}: u32`)
      .join(', ')} }`,
  );
  lines.push(`@group(0) @binding(${next + (usesScratch(options) ? 1 : 0)}) var<uniform> sizes: Sizes;`);
  return lines.join('\n');
}

/** Where element `index` of an array is, as a place that can be read and written. */
function element(options: KernelOptions, { name, place, rows }: KernelArray, index: string): string {
  if (place === 'binding')
    return rows && options.vectors ? `${name}[(${index}) >> 2][(${index}) & 3]` : `${name}[${index}]`;
  const at = `sizes.at_${name} + ${index}`;
  return options.vectors ? `scratch[(${at}) >> 2][(${at}) & 3]` : `scratch[${at}]`;
}

/** `get_NAME(i)`, `set_NAME(i, value)`: single elements as float32. */
function scalarAccess(options: KernelOptions, array: KernelArray): string {
  const { name, type, place, access } = array;
  const at = element(options, array, 'i');
  const get = `fn get_${name}(i: u32) -> f32 { return f32(${at}); }`;
  const stored = place === 'binding' && type !== 'f32' ? `${type}(value)` : 'value';
  const set = `fn set_${name}(i: u32, value: f32) { ${at} = ${stored}; }`;
  return [access === 'write' ? '' : get, access === 'read' ? '' : set].join('\n');
}

/** `load_NAME(row, k)`, `store_NAME(row, k, state)`: the four states of lane k in a row; those beyond dState are 0. */
function rowAccess(options: KernelOptions, array: KernelArray): string {
  const { dState, lanes, complex } = options;
  const { name, type, place, access } = array;
  const lines: string[] = [];
  if (options.vectors) {
    const at =
      place === 'binding' ? `${name}[row * ${lanes} + k]` : `scratch[(sizes.at_${name} >> 2) + row * ${lanes} + k]`;
    lines.push(`fn load_${name}(row: u32, k: u32) -> State { return ${type === 'f16' ? `vec4f(${at})` : at}; }`);
    if (access !== 'read') {
      const value = place === 'binding' && type === 'f16' ? 'vec4<f16>(state)' : 'state';
      lines.push(`fn store_${name}(row: u32, k: u32, state: State) { ${at} = ${value}; }`);
    }
    return lines.join('\n');
  }
  const width = complex ? 2 : 1;
  const place4 = (part: number): string[] =>
    [0, 1, 2, 3].map((s) => element(options, array, `(row * ${dState} + 4 * k + ${s}) * ${width} + ${part}`));
  const inside = (s: number): string => `4 * k + ${s} < ${dState}`;
  const vector = (part: number): string =>
    `vec4f(${place4(part)
      .map((at, s) => `select(0.0, f32(${at}), ${inside(s)})`)
      .join(', ')})`;
  const state = complex ? `State(${vector(0)}, ${vector(1)})` : vector(0);
  lines.push(`fn load_${name}(row: u32, k: u32) -> State { return ${state}; }`);
  if (access !== 'read') {
    const stores = [0, 1, 2, 3].map((s) => {
      const parts = complex ? ['re', 'im'] : [''];
      const writes = parts.map((part, w) => `${place4(w)[s]} = state${part && `.${part}`}[${s}];`);
      return `  if (${inside(s)}) { ${writes.join(' ')} }`;
    });
    lines.push(`fn store_${name}(row: u32, k: u32, state: State) {\n${stores.join('\n')}\n}`);
  }
  return lines.join('\n');
}

/** Directives, bindings, numbers and access functions of a kernel. */
export function moduleHead(options: KernelOptions): string {
  const { arrays, exchange, coefficients } = options;
  const usesSubgroups = exchange === 'subgroups' || coefficients === 'subgroups';
  return [
    arrays.some(({ type, place }) => type === 'f16' && place === 'binding') ? 'enable f16;' : '',
    usesSubgroups ? 'enable subgroups;' : '',
    declareBindings(options),
    numbers(options.complex, options.softplus),
    ...arrays.map((array) => scalarAccess(options, array)),
    ...arrays.filter(({ rows }) => rows).map((array) => rowAccess(options, array)),
  ]
    .filter((part) => part !== '')
    .join('\n');
}

/** The head of an entry point: `index` of the workgroup, over two dimensions of the grid, and the invocation's `lane`. */
export function entryHead({ workgroup, exchange, coefficients }: KernelOptions): string {
  // a workgroup that is one subgroup: the lane is the place in the subgroup, however the device numbers invocations
  const usesSubgroups = exchange === 'subgroups' || coefficients === 'subgroups';
  const lane = usesSubgroups ? 'subgroup_invocation_id' : 'local_invocation_index';
  return `@compute @workgroup_size(${workgroup})
fn main(@builtin(workgroup_id) place: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(${lane}) lane: u32) {
  let index = place.x + place.y * grid.x;
  if (index >= sizes.workgroups) { return; }`;
}

/**
 * Prints code for each index below `count`: straight code, of which every index is a literal, or a loop where a short text
 * matters more (software adapters compile slowly).
 */
export function each(
  { unrolled }: KernelOptions,
  index: string,
  count: number,
  body: (at: string) => string,
  down = false,
): string {
  if (count === 1) return `{ ${body('0u')} }`;
  if (!unrolled) {
    const at = down ? `let ${index} = ${count - 1}u - up_${index};` : `let ${index} = up_${index};`;
    return `for (var up_${index} = 0u; up_${index} < ${count}u; up_${index}++) { ${at} ${body(index)} }`;
  }
  const indices = Array.from({ length: count }, (_, i) => (down ? count - 1 - i : i));
  return indices.map((i) => `{ ${body(`${i}u`)} }`).join('\n');
}

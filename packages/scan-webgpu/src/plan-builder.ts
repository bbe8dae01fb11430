// Collects the kernels of a plan: scratch, arrays that must be packed into it, dispatch grids, sums.
import { type ScanShape, ScanShapeError } from '@mamba-ts/scan';
import {
  type ScanArray,
  type ScanDtype,
  type ScratchArray,
  arrayBytes,
  arrayElements,
  elementType,
  hasStateRows,
} from './arrays';
import type { ScanLimits } from './limits';
import { type KernelArray, type KernelOptions, type SizeField, reducedGradients } from './wgsl/module';

/** One dispatch: a kernel, its workgroups and the numbers it gets in its uniform buffer. */
export interface PlannedKernel {
  readonly options: KernelOptions;
  readonly workgroups: number;
  readonly grid: readonly [x: number, y: number];
  readonly sizes: Readonly<Partial<Record<SizeField, number>>>;
}

interface ArrayUse {
  readonly name: ScanArray | ScratchArray;
  readonly access: KernelArray['access'];
}

interface Dispatch {
  readonly arrays: readonly ArrayUse[];
  readonly workgroups: number;
  readonly sizes: Partial<Record<SizeField, number>>;
}

interface Sum {
  readonly gradient: (typeof reducedGradients)[number];
  readonly from: ScratchArray;
  readonly rows: number;
  readonly columns: number;
}

export interface BuilderOptions {
  readonly dtype?: ScanDtype;
  readonly oneBuffer?: boolean;
  readonly limits: ScanLimits;
}

/** Rows that one invocation of a first-stage sum adds up. */
const rowsPerSplit = 32;

export class PlanBuilder {
  scratchBytes = 0;
  readonly words: string[] = [];
  private readonly scratch = new Map<ScanArray | ScratchArray, number>();
  private readonly kernels: PlannedKernel[] = [];
  private readonly packed = new Map<ScanArray, 'in' | 'out' | 'in and out'>();

  constructor(
    private readonly shape: ScanShape,
    private readonly options: BuilderOptions,
    private readonly arrays: readonly ScanArray[],
  ) {}

  /** Is this array given to the launch, or reserved in scratch? */
  has(name: ScanArray | ScratchArray): boolean {
    return this.scratch.has(name) || this.arrays.includes(name as ScanArray);
  }

  /** Those of `names` that the launch is given. */
  given(...names: ScanArray[]): ScanArray[] {
    return names.filter((name) => this.arrays.includes(name));
  }

  /** Takes bytes of scratch for an array; again: the same bytes, at least as many. */
  reserve(name: ScanArray | ScratchArray, bytes: number): void {
    if (this.scratch.has(name)) return;
    this.scratch.set(name, this.scratchBytes);
    this.scratchBytes += Math.ceil(bytes / 256) * 256;
  }

  /** Adds a dispatch. Where it has more arrays than a stage may bind, the smallest ones go through the scratch. */
  add(options: KernelOptions, { arrays, workgroups, sizes }: Dispatch): void {
    const { dtype = 'float32', limits } = this.options;
    const isScratch = ({ name }: ArrayUse): boolean => !this.arrays.includes(name as ScanArray);
    const bound = arrays.filter((array) => !isScratch(array));
    const fits = (count: number, scratch: boolean): boolean =>
      count + (scratch ? 1 : 0) <= limits.maxStorageBuffersPerShaderStage;
    const bySize = [...bound].sort((a, b) => this.bytesOf(a) - this.bytesOf(b));
    const packed = new Set<ScanArray | ScratchArray>();
    while (!fits(bound.length - packed.size, packed.size > 0 || arrays.some(isScratch))) {
      const next = bySize.shift();
      if (next === undefined)
        throw new ScanShapeError('planScan', 'options.limits', 'at least 1 storage buffer', 'none');
      packed.add(next.name);
      this.pack(next);
    }
    const placed = arrays.map(({ name, access }): KernelArray => {
      const place = packed.has(name) || isScratch({ name, access }) ? 'scratch' : 'binding';
      const type = place === 'scratch' ? 'f32' : elementType(this.shape, dtype, name);
      return { name, type, place, access, rows: hasStateRows(name) };
    });
    const offsets = Object.fromEntries(
      placed
        .filter(({ place }) => place === 'scratch')
        .map(({ name }) => [`at_${name}`, (this.scratch.get(name) ?? 0) / 4]),
    );
    this.push({ ...options, arrays: placed }, workgroups, { ...sizes, ...offsets });
  }

  /** Sums over rows, all of them in one dispatch, or in two where there are many rows. Returns how many. */
  addReductions(sums: readonly Sum[], base: KernelOptions): number {
    const { dtype = 'float32' } = this.options;
    const long = sums.filter(({ rows }) => rows > 2 * rowsPerSplit);
    const splitsOf = ({ rows }: Sum): number => Math.ceil(rows / rowsPerSplit);
    const offsets = new Map<Sum, number>();
    let total = 0;
    for (const sum of long) {
      offsets.set(sum, total);
      total += splitsOf(sum) * sum.columns * 4;
    }
    this.reserve('sums', total);
    const start = this.scratch.get('sums') ?? 0;
    const stages = long.length > 0 ? (['first', 'last'] as const) : (['last'] as const);
    for (const stage of stages) {
      const table: Partial<Record<SizeField, number>> = {};
      let workgroups = 0;
      for (const sum of stage === 'first' ? long : sums) {
        const index = reducedGradients.indexOf(sum.gradient);
        const between = offsets.has(sum) ? start + (offsets.get(sum) ?? 0) : undefined;
        const second = stage === 'last' && between !== undefined;
        const groups = Math.ceil(sum.columns / base.workgroup);
        const rows = second ? splitsOf(sum) : sum.rows;
        const from = second ? between : (this.scratch.get(sum.from) ?? 0);
        const entry = {
          ...{ from: from / 4, to: stage === 'first' ? (between ?? 0) / 4 : 0, rows, columns: sum.columns },
          ...{ rowsPerSplit: stage === 'first' ? rowsPerSplit : rows, first: workgroups, groups },
        };
        for (const [field, value] of Object.entries(entry)) table[`sum${index}_${field}`] = value;
        workgroups += groups * (stage === 'first' ? splitsOf(sum) : 1);
      }
      const targets =
        stage === 'first'
          ? []
          : sums.map(({ gradient }): KernelArray => ({
              ...{
                name: gradient,
                type: elementType(this.shape, dtype, gradient),
                place: 'binding',
                access: 'write',
                rows: false,
              },
            }));
      const scratch: KernelArray = { name: 'sums', type: 'f32', place: 'scratch', access: 'read_write', rows: false };
      this.push({ ...base, arrays: [...targets, scratch] }, workgroups, {
        ...table,
        reverse: stage === 'last' ? 1 : 0,
      });
    }
    return stages.length;
  }

  /** All dispatches, with the copies of packed arrays before and behind them. */
  finish(): PlannedKernel[] {
    const own = this.kernels.splice(0);
    for (const [name, way] of this.packed) if (way !== 'out') this.addCopy(name, 'read');
    this.kernels.push(...own);
    for (const [name, way] of this.packed) if (way !== 'in') this.addCopy(name, 'write');
    if (this.packed.size > 0) {
      const most = this.options.limits.maxStorageBuffersPerShaderStage;
      this.words.push(`${[...this.packed.keys()].join(', ')} through the scratch (${most} storage buffers in a stage)`);
    }
    return this.kernels.splice(0);
  }

  private bytesOf({ name }: ArrayUse): number {
    return arrayBytes(this.shape, this.options.dtype ?? 'float32', name as ScanArray);
  }

  private pack({ name, access }: ArrayUse): void {
    const array = name as ScanArray;
    this.reserve(array, arrayElements(this.shape, array) * 4);
    const way = access === 'read' ? 'in' : access === 'write' ? 'out' : 'in and out';
    if (!this.packed.has(array)) this.packed.set(array, way);
  }

  private addCopy(name: ScanArray, access: 'read' | 'write'): void {
    const { dtype = 'float32', oneBuffer = false } = this.options;
    const count = arrayElements(this.shape, name);
    const options: KernelOptions = {
      ...{
        kind: 'copy',
        complex: false,
        dState: 1,
        lanes: 1,
        chunk: 1,
        steps: 1,
        vectors: false,
        softplus: false,
        dtype,
      },
      ...{
        variableB: true,
        variableC: true,
        grouped: false,
        workgroup: 64,
        team: 1,
        exchange: 'memory',
        coefficients: 'array',
        batch: 1,
        unrolled: false,
        oneBuffer,
      },
      arrays: [
        { name, type: elementType(this.shape, dtype, name), place: 'binding', access, rows: false },
        { name: 'sums', type: 'f32', place: 'scratch', access: access === 'read' ? 'write' : 'read', rows: false },
      ],
    };
    this.push(options, Math.ceil(count / 256), { count, at_sums: (this.scratch.get(name) ?? 0) / 4 });
  }

  private push(options: KernelOptions, workgroups: number, sizes: Partial<Record<SizeField, number>>): void {
    const { maxComputeWorkgroupsPerDimension: most } = this.options.limits;
    const { batch, length, channels, groups } = this.shape;
    const grid = [Math.min(workgroups, most), Math.ceil(workgroups / most)] as const;
    if (grid[1] > most)
      throw new ScanShapeError('planScan', 'shape', `at most ${most ** 2} workgroups`, `${workgroups} workgroups`);
    const common = {
      workgroups,
      batch,
      length,
      channels,
      groups,
      perGroup: channels / groups,
      rows: length,
      rowOffset: 0,
    };
    this.kernels.push({ options, workgroups, grid, sizes: { ...common, ...sizes } });
  }
}

// Plans on a device: kernels loaded, argument blocks laid out once, launches that only fill in addresses.
import { ScanShapeError, scanSize } from '@mamba-ts/scan';
import { reduceSegmentFields, reduceSegments, scanArgumentFields, scanFlags, writeScanArguments } from './arguments';
import type { CudaContext, CudaFunction, CudaModule, CudaStream } from './driver/index';
import { CudaError, KernelArguments } from './driver/index';
import { kernelImage } from './kernel-images';
import type { Layout } from './layout';
import type { PlannedKernel, PlannedSum, ScanPlan } from './plan';

/**
 * Device pointers of a scan, named and shaped as in `ScanInputs`; resets are int32. u, delta, z, y, variable B and C and
 * their gradients have the plan's dtype, everything else is float32.
 */
export interface ScanPointers {
  readonly u: bigint;
  readonly delta: bigint;
  readonly A: bigint;
  readonly B: bigint;
  readonly C: bigint;
  readonly D?: bigint;
  readonly z?: bigint;
  readonly deltaBias?: bigint;
  readonly initialState?: bigint;
  readonly resets?: bigint;
  /** Forward and step: the output. */
  readonly y?: bigint;
  /** Forward: the state after the last step, where wanted. Step: the state, updated in place. */
  readonly lastState?: bigint;
  /** `plan.checkpointBytes` bytes: forward leaves them for backward. */
  readonly checkpoints?: bigint;
  /** Backward: gradients from above. */
  readonly gradY?: bigint;
  readonly gradLastState?: bigint;
  /** Backward: results. Those of optional inputs are written where given. */
  readonly gradU?: bigint;
  readonly gradDelta?: bigint;
  readonly gradA?: bigint;
  readonly gradB?: bigint;
  readonly gradC?: bigint;
  readonly gradD?: bigint;
  readonly gradZ?: bigint;
  readonly gradDeltaBias?: bigint;
  readonly gradInitialState?: bigint;
  /** `plan.scratchBytes` bytes, aligned to 256. */
  readonly scratch?: bigint;
}

const inputs = ['u', 'delta', 'A', 'B', 'C'] as const;
const required: Record<ScanPlan['pass'], readonly (keyof ScanPointers)[]> = {
  forward: [...inputs, 'y'],
  step: [...inputs, 'y', 'lastState'],
  backward: [...inputs, 'gradY', 'gradU', 'gradDelta', 'gradA', 'gradB', 'gradC'],
};
const pointerFields = scanArgumentFields.slice(0, scanArgumentFields.indexOf('partsB'));

function modulesOf(plan: ScanPlan): Set<Layout['module']> {
  const needed = new Set<Layout['module']>(plan.kernels.map(({ module }) => module));
  if (plan.sums.length > 0) needed.add('general');
  return needed;
}

/** The scan's kernels on one device. */
export class CudaScan {
  private readonly images = new Map<Layout['module'], Uint8Array>();
  private readonly modules = new Map<Layout['module'], CudaModule>();

  /** `imageOf`: where the modules come from, for measurements; by default they are the package's own. */
  constructor(
    private readonly context: CudaContext,
    private readonly imageOf: (name: Layout['module']) => Promise<Uint8Array> = kernelImage,
  ) {}

  /** Unpacks the images of all kernels, for {@link prepareLoaded}. Loads none into the device. */
  async load(): Promise<void> {
    for (const name of ['chain', 'real16', 'real', 'general'] as const) this.images.set(name, await this.imageOf(name));
  }

  /** Loads what a plan needs and lays out its arguments. */
  async prepare(plan: ScanPlan): Promise<PreparedScan> {
    for (const name of modulesOf(plan)) this.images.set(name, await this.imageOf(name));
    return this.prepareLoaded(plan);
  }

  /** As {@link prepare}, at once, after {@link load}. */
  prepareLoaded(plan: ScanPlan): PreparedScan {
    for (const name of modulesOf(plan)) {
      if (this.modules.has(name)) continue;
      const image = this.images.get(name);
      if (image === undefined) throw new CudaError('prepareLoaded', 'the kernels have not been unpacked: await load() first');
      this.modules.set(name, this.context.loadModule(image));
    }
    return new PreparedScan(this.context, plan, (module, name) => this.modules.get(module)!.function(name));
  }

  /** Unloads the kernels. Prepared scans must not be launched any more. */
  close(): void {
    for (const module of this.modules.values()) module.unload();
    this.modules.clear();
  }
}

interface Launch {
  readonly kernel: PlannedKernel;
  readonly run: CudaFunction;
  readonly args: KernelArguments;
  readonly block: BigUint64Array;
}

/** A plan that is ready to launch on a device, any number of times and with any pointers. */
export class PreparedScan {
  private readonly launches: Launch[];
  private readonly reductions: { launch: Launch; stage: 'first' | 'last' }[] = [];

  /** Made by {@link CudaScan.prepare}. */
  constructor(
    context: CudaContext,
    readonly plan: ScanPlan,
    find: (module: Layout['module'], name: string) => CudaFunction,
  ) {
    const { shape, deltaSoftplus, chunk, chunks, parts, tilesPerPart } = plan;
    const flags =
      (deltaSoftplus ? scanFlags.softplus : 0) |
      (shape.variableB ? scanFlags.variableB : 0) |
      (shape.variableC ? scanFlags.variableC : 0);
    const prepare = (kernel: PlannedKernel, bytes: number): Launch => {
      const run = find(kernel.module, kernel.name);
      run.allowSharedMemory(kernel.sharedBytes);
      const args = new KernelArguments(context.driver, bytes, [0]);
      return { kernel, run, args, block: new BigUint64Array(args.bytes) };
    };
    this.launches = plan.kernels.map((kernel) => {
      const launch = prepare(kernel, scanArgumentFields.length * 8);
      const { batch, length, channels, dState, groups } = shape;
      const sizes = { batch, length, channels, dState, groups, flags, chunkLog2: Math.log2(chunk), chunks, parts, tilesPerPart };
      writeScanArguments(launch.block, { segments: 1, ...sizes, ...kernel.values });
      return launch;
    });
    if (plan.sums.length === 0) return;
    const bytes = reduceSegments * reduceSegmentFields.length * 8;
    for (const stage of plan.rowsPerSplit > 0 ? (['first', 'last'] as const) : (['last'] as const)) {
      const kernel: PlannedKernel = { module: 'general', name: 'reduce_rows', grid: [1, 1, 1], threads: 128, sharedBytes: 0 };
      this.reductions.push({ launch: prepare(kernel, bytes), stage });
    }
  }

  /**
   * Queues the scan on `stream` (the default stream where absent). Allocates nothing on the device and may be captured
   * into a graph. Throws a ScanShapeError where a pointer is missing or not aligned to 16 bytes.
   */
  launch(pointers: ScanPointers, stream?: CudaStream): void {
    const { plan } = this;
    this.check(pointers);
    const at = (name: keyof ScanPointers): bigint => pointers[name] ?? 0n;
    const scratch = (name: Parameters<typeof plan.scratch.get>[0]): bigint => {
      const offset = plan.scratch.get(name);
      return offset === undefined ? 0n : at('scratch') + BigInt(offset);
    };
    for (const { kernel, run, args, block } of this.launches) {
      for (let i = 0; i < pointerFields.length; i++) block[i] = at(pointerFields[i] as keyof ScanPointers);
      writeScanArguments(block, { starts: scratch('starts'), decays: scratch('decays') });
      if (plan.pass === 'forward' && plan.checkpointBytes === 0) writeScanArguments(block, { checkpoints: 0 });
      if (plan.pass === 'backward') {
        const own = plan.scratch.has('checkpoints');
        writeScanArguments(block, {
          checkpoints: own ? scratch('checkpoints') : at('checkpoints'),
          adjoints: scratch('adjoints'),
          partsB: scratch('partsB'),
          partsC: scratch('partsC'),
          partsD: pointers.gradD === undefined ? 0 : scratch('partsD'),
          partsBias: pointers.gradDeltaBias === undefined ? 0 : scratch('partsBias'),
          y: 0,
          lastState: 0,
        });
      }
      run.launch(stream, kernel.grid, [kernel.threads], kernel.sharedBytes, args);
    }
    for (const { launch, stage } of this.reductions) {
      const blocks = this.writeSegments(launch.block, stage, pointers);
      if (blocks > 0) launch.run.launch(stream, [blocks], [launch.kernel.threads], 0, launch.args);
    }
  }

  private check(pointers: ScanPointers): void {
    const { plan } = this;
    const names = new Set<keyof ScanPointers>(required[plan.pass]);
    if (plan.scratchBytes > 0) names.add('scratch');
    if (plan.checkpointBytes > 0) names.add('checkpoints');
    if (plan.pass === 'backward' && pointers.z !== undefined) names.add('gradZ');
    for (const name of names) {
      if (pointers[name] === undefined || pointers[name] === 0n) {
        throw new ScanShapeError(`PreparedScan.launch (${plan.pass})`, name, 'a device pointer', 'no value');
      }
    }
    for (const name in pointers) {
      const value: unknown = pointers[name as keyof ScanPointers];
      if (value !== undefined && (typeof value !== 'bigint' || value % 16n !== 0n)) {
        const got = typeof value === 'bigint' ? `value 0x${value.toString(16)}` : `type ${typeof value}`;
        throw new ScanShapeError(`PreparedScan.launch (${plan.pass})`, name, 'a device pointer (bigint) aligned to 16 bytes', got);
      }
    }
  }

  /** Fills in what one stage of the sums adds up; returns the blocks it takes. */
  private writeSegments(block: BigUint64Array, stage: 'first' | 'last', pointers: ScanPointers): number {
    const { rowsPerSplit, scratch, sums } = this.plan;
    const base = pointers.scratch ?? 0n;
    let middle = base + BigInt(scratch.get('sums') ?? 0);
    let firstBlock = 0;
    let index = 0;
    block.fill(0n);
    for (const sum of sums) {
      const twoStages = rowsPerSplit > 0 && !this.overParts(sum);
      const splits = twoStages ? Math.ceil(sum.rows / rowsPerSplit) : 1;
      const from = base + BigInt(scratch.get(sum.from) ?? 0);
      const [between, target] = [middle, this.target(sum, pointers)];
      if (twoStages) middle += BigInt(splits * sum.columns * 4);
      if (target === 0n || (stage === 'first' && !twoStages)) continue;
      const blocks = Math.min(Math.ceil(sum.columns / 128), 2 ** 20);
      const first = stage === 'first';
      const rows = twoStages && !first ? splits : sum.rows;
      const counts = [rows, sum.columns, first ? rowsPerSplit : rows, !first && sum.bf16 ? 1 : 0, firstBlock, blocks];
      const addresses = [twoStages && !first ? between : from, first ? between : target];
      block.set([...addresses, ...counts.map(BigInt)], index++ * reduceSegmentFields.length);
      firstBlock += blocks * (first ? splits : 1);
    }
    return firstBlock;
  }

  /** Is this a sum over parts of the channels (variable B or C), not over chunks? */
  private overParts({ gradient }: PlannedSum): boolean {
    const { variableB, variableC } = this.plan.shape;
    return (gradient === 'B' && variableB) || (gradient === 'C' && variableC);
  }

  private target({ gradient }: PlannedSum, pointers: ScanPointers): bigint {
    switch (gradient) {
      case 'A':
        return pointers.gradA ?? 0n;
      case 'B':
        return pointers.gradB ?? 0n;
      case 'C':
        return pointers.gradC ?? 0n;
      case 'D':
        return pointers.gradD ?? 0n;
      case 'deltaBias':
        return pointers.gradDeltaBias ?? 0n;
    }
  }
}

/** Bytes of one array of a plan's scan, as {@link ScanPointers} has it. */
export function scanBytes(plan: ScanPlan, name: Parameters<typeof scanSize>[1]): number {
  const { shape, dtype } = plan;
  const stored = ['u', 'delta', 'z', 'y'].includes(name) || (name === 'B' && shape.variableB) || (name === 'C' && shape.variableC);
  return scanSize(shape, name) * (stored && dtype === 'bf16' ? 2 : 4);
}

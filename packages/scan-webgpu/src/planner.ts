// Decides the passes of one scan: which kernels, how lanes, workgroups and segments are laid out, what they keep in scratch.
import { type ScanShape, ScanShapeError, stateWidth } from '@mamba-ts/scan';
import { type ScanArray, type ScratchArray, arrayElements, chunkSteps } from './arrays';
import type { ScanLimits } from './limits';
import type { ScanPlanOptions } from './plan';
import { PlanBuilder } from './plan-builder';
import { backwardMemory } from './wgsl/backward';
import type { KernelArray, KernelOptions } from './wgsl/module';
import { teamMemory } from './wgsl/team';

/** Lanes that share a channel: a power of two, four states each. */
function lanesOf({ dState }: ScanShape): number {
  let lanes = 1;
  while (4 * lanes < dState) lanes *= 2;
  return lanes;
}

/** Arrays as far as the need for workgroup memory depends on them. */
function standIns(names: readonly ScanArray[]): KernelArray[] {
  return names.map((name) => ({ name, type: 'f32', place: 'binding', access: 'read', rows: false }));
}

/** Decides the passes of one scan. */
export class ScanPlanner {
  readonly words: string[] = [];
  readonly builder: PlanBuilder;
  private readonly lanes: number;
  private readonly chunk: number;
  private readonly chunks: number;
  private readonly stateBytes: number;

  constructor(
    private readonly shape: ScanShape,
    private readonly options: ScanPlanOptions,
    private readonly limits: ScanLimits,
    arrays: readonly ScanArray[],
  ) {
    this.lanes = lanesOf(shape);
    this.chunk = chunkSteps(shape);
    this.chunks = Math.ceil(shape.length / this.chunk);
    this.stateBytes = shape.channels * shape.dState * stateWidth(shape) * 4;
    this.builder = new PlanBuilder(shape, { ...options, limits }, arrays);
  }

  forward(): void {
    const { pass, arrays = [] } = this.options;
    const inPlace = pass === 'step' && !arrays.includes('initialState');
    this.walk('forward', { outputs: ['y', 'lastState', 'checkpoints'], inPlace });
  }

  backward(): void {
    const { shape, options, builder, chunk, chunks, lanes } = this;
    const { batch, channels, groups } = shape;
    const own = options.checkpoints !== true;
    if (own) {
      builder.reserve('states', batch * chunks * this.stateBytes);
      this.walk('forward', { outputs: ['states'] });
    } else this.words.push('checkpoints from forward');
    builder.reserve('adjoints', batch * chunks * this.stateBytes);
    this.walk('adjoint', { outputs: ['adjoints', 'gradInitialState'] });

    const { variableB, variableC } = shape;
    const exchange = options.override?.backwardExchange ?? (this.fitsSubgroup ? 'subgroups' : 'memory');
    const workgroup =
      exchange === 'subgroups' ? this.limits.subgroupSize : (options.override?.workgroup ?? this.workgroupOf(lanes));
    const base = this.kernelOptions('backward', { workgroup, steps: chunk, exchange });
    const inTile = workgroup / lanes;
    const tiles = Math.ceil(channels / groups / inTile);
    // Parts of the channels give more workgroups; what they leave of dB and dC may take as much as the states at chunks do.
    const few = ((options.invocations ?? 131072) * 2) / (batch * chunks * groups * workgroup);
    const most = Math.max(1, Math.floor(channels / groups / (2 * chunk)));
    const wanted = options.override?.parts ?? Math.max(1, Math.min(Math.floor(few), most, tiles));
    const tilesPerPart = Math.ceil(tiles / wanted);
    const parts = Math.ceil(tiles / tilesPerPart);

    const rows = batch * chunks;
    const coefficients = (variable: boolean): number =>
      variable ? parts * batch * shape.length * groups * shape.dState * stateWidth(shape) * 4 : rows * this.stateBytes;
    builder.reserve('partsB', coefficients(variableB));
    builder.reserve('partsC', coefficients(variableC));
    const optional: ScratchArray[] = [];
    for (const [array, part] of [
      ['D', 'partsD'],
      ['deltaBias', 'partsBias'],
    ] as const) {
      if (!builder.has(array)) continue;
      builder.reserve(part, rows * channels * 4);
      optional.push(part);
    }
    const kernel = this.fitBackward(base);
    builder.add(kernel, {
      arrays: [
        ...builder
          .given('u', 'delta', 'z', 'gradY', 'A', 'B', 'C', 'D', 'deltaBias', 'resets', 'checkpoints')
          .map((name) => ({ name, access: 'read' as const })),
        ...(own ? [{ name: 'states' as const, access: 'read' as const }] : []),
        ...builder.given('gradU', 'gradDelta', 'gradZ').map((name) => ({ name, access: 'write' as const })),
        { name: 'adjoints', access: 'read_write' },
        ...(['partsB', 'partsC', ...optional] as const).map((name) => ({ name, access: 'write' as const })),
      ],
      workgroups: batch * chunks * groups * parts,
      sizes: { chunks, parts, tilesPerPart, tiles },
    });
    this.words.push(
      `backward: ${batch * chunks * groups * parts} workgroups for chunks of ${chunk} steps${parts > 1 ? ` times ${parts} parts of the channels` : ''}, ` +
        `${inTile} channels at a time with ${lanes} lanes each`,
    );
    const perRow = channels * shape.dState * stateWidth(shape);
    const stages = builder.addReductions(
      [
        { gradient: 'gradA', from: 'adjoints', rows, columns: perRow },
        { gradient: 'gradB', from: 'partsB', rows: variableB ? parts : rows, columns: arrayElements(shape, 'B') },
        { gradient: 'gradC', from: 'partsC', rows: variableC ? parts : rows, columns: arrayElements(shape, 'C') },
        ...(builder.has('D') ? [{ gradient: 'gradD' as const, from: 'partsD' as const, rows, columns: channels }] : []),
        ...(builder.has('deltaBias')
          ? [{ gradient: 'gradDeltaBias' as const, from: 'partsBias' as const, rows, columns: channels }]
          : []),
      ],
      this.kernelOptions('reduce', {}),
    );
    this.words.push(`sums over ${rows} chunks in ${stages === 1 ? 'one stage' : 'two stages'}`);
  }

  /** A pass over time: forward, or backward's adjoints. */
  private walk(
    direction: 'forward' | 'adjoint',
    { outputs, inPlace = false }: { outputs: readonly (ScanArray | ScratchArray)[]; inPlace?: boolean },
  ): void {
    const { shape, options, builder, chunk, chunks, lanes } = this;
    const { batch, length, channels } = shape;
    const { override = {} } = options;
    const exchange = override.exchange ?? (this.fitsSubgroup ? 'subgroups' : 'memory');
    const workgroup =
      exchange === 'subgroups' ? this.limits.subgroupSize : (override.workgroup ?? this.workgroupOf(lanes));
    const inTile = workgroup / lanes;
    const perGroup = channels / shape.groups;
    const shared = shape.groups === 1 || perGroup % inTile === 0;
    const adjoint = direction === 'adjoint';
    const finishes = outputs.includes('y');
    const coefficients = shared ? (override.coefficients ?? this.bestCoefficients(exchange, finishes)) : 'array';
    const tiles = Math.ceil(channels / inTile);
    const lanesThere = batch * tiles * workgroup;
    const fitted = { workgroup, steps: length === 1 ? 1 : 8, exchange, coefficients };
    const team = this.teamOf(direction, lanesThere, finishes, fitted);
    const wanted =
      team !== undefined
        ? 1
        : (override.segments ??
          Math.min(Math.floor((options.invocations ?? 131072) / lanesThere), Math.floor(length / 32)));
    const segmentSteps =
      wanted >= 3 || override.segments !== undefined ? Math.ceil(length / wanted / chunk) * chunk : length;
    const segments = Math.ceil(length / segmentSteps);
    const sizes = { tiles, segments, segmentSteps, chunks };
    const kernel = this.kernelOptions(direction, team ?? fitted);
    const inputs = adjoint
      ? builder.given('delta', 'gradY', 'z', 'A', 'C', 'deltaBias', 'resets', 'gradLastState')
      : builder.given('u', 'delta', 'A', 'B', 'deltaBias', 'resets', ...(inPlace ? [] : (['initialState'] as const)));
    const read = (name: ScanArray | ScratchArray) => ({ name, access: 'read' as const });
    const write = (name: ScanArray | ScratchArray) => ({
      name,
      access: inPlace && name === 'lastState' ? ('read_write' as const) : ('write' as const),
    });
    const starts: ScratchArray[] = segments > 1 ? ['starts'] : [];
    if (segments > 1) {
      builder.reserve('starts', batch * segments * this.stateBytes);
      builder.reserve('decays', batch * segments * this.stateBytes);
      const ends = this.kernelOptions(adjoint ? 'adjointEnds' : 'ends', fitted);
      builder.add(ends, {
        arrays: [...inputs.map(read), write('starts'), write('decays')],
        workgroups: batch * tiles * (segments - 1),
        sizes,
      });
      const combine = this.kernelOptions('combine', {});
      builder.add(combine, {
        arrays: [{ name: 'starts', access: 'read_write' }, read('decays')],
        workgroups: Math.ceil((batch * channels * shape.dState) / combine.workgroup),
        sizes: { ...sizes, count: this.stateBytes / 4, reverse: adjoint ? 1 : 0 },
      });
    }
    const wantedOutputs = outputs.filter((name) => builder.has(name));
    builder.add(kernel, {
      arrays: [
        ...inputs.map(read),
        ...(finishes ? builder.given('C', 'D', 'z').map(read) : []),
        ...wantedOutputs.map(write),
        ...starts.map(read),
      ],
      workgroups: batch * tiles * segments,
      sizes,
    });
    const name = adjoint ? 'adjoints' : finishes ? 'forward' : 'states';
    const cut =
      team !== undefined
        ? `${team.team} subgroups of a workgroup take ${team.steps} steps in turn`
        : segments > 1
          ? `time in ${segments} segments of ${segmentSteps} steps, their ends first`
          : 'time uncut';
    const how = lanes === 1 ? '' : exchange === 'subgroups' ? ', by subgroups' : ', by workgroup memory';
    this.words.push(
      `${name}: ${batch * tiles * segments} workgroups of ${inTile} channels with ${lanes} lanes each${how}, ${cut}`,
    );
  }

  /**
   * Where there are too few channels to keep a device busy: as many subgroups of a workgroup as do, up to what it allows,
   * take tiles of steps in turn. Undefined where there are enough channels, or so few that segments are better.
   */
  private teamOf(
    direction: 'forward' | 'adjoint',
    lanesThere: number,
    finishes: boolean,
    fitted: Pick<KernelOptions, 'workgroup' | 'exchange' | 'coefficients' | 'steps'>,
  ): (typeof fitted & Pick<KernelOptions, 'team'>) | undefined {
    const { shape, options, limits, chunk } = this;
    const { override = {} } = options;
    const unwanted = override.team === undefined && (override.segments !== undefined || limits.software);
    if (fitted.exchange !== 'subgroups' || shape.length === 1 || override.team === 1 || unwanted) return undefined;
    // decays and inputs of a tile stay in registers where y is wanted
    const steps = !finishes ? chunk : shape.complex ? 4 : 8;
    const coefficients = fitted.coefficients === 'array' ? ('array' as const) : ('memory' as const);
    const arrays = standIns([...(finishes ? (['y'] as const) : []), ...this.builder.given('resets')]);
    const enough = (options.invocations ?? 131072) / 4;
    const most =
      override.team ?? (lanesThere > enough ? 1 : Math.min(Math.max(2, enough / lanesThere), shape.length / steps));
    let found: (typeof fitted & Pick<KernelOptions, 'team'>) | undefined;
    for (let team = 2; team <= most && team * fitted.workgroup <= limits.maxComputeInvocationsPerWorkgroup; team *= 2) {
      const more = { ...fitted, workgroup: team * fitted.workgroup, team, steps, coefficients };
      const bytes = teamMemory(this.kernelOptions(direction, { ...more, arrays }));
      if (bytes > limits.maxComputeWorkgroupStorageSize) break;
      found = more;
    }
    if (found === undefined || override.team !== undefined) return found;
    // a walk that leaves y reads memory twice as often: over many rounds segments take less time
    const busy = !finishes && 4 * lanesThere * found.team >= enough;
    return busy || shape.length <= 16 * found.team * steps ? found : undefined;
  }

  /** Walks that leave y read B and C in workgroup memory, others from neighbours: what measures faster. */
  private bestCoefficients(exchange: KernelOptions['exchange'], finishes: boolean): KernelOptions['coefficients'] {
    if (exchange !== 'subgroups' || this.limits.software) return 'array';
    const bytes = 2 * 8 * this.lanes * 16 * stateWidth(this.shape); // B and C of a tile of 8 steps
    const fits = bytes <= this.limits.maxComputeWorkgroupStorageSize;
    return finishes && this.shape.length > 1 && fits ? 'memory' : 'subgroups';
  }

  /** A workgroup can be one subgroup that holds whole channels. */
  private get fitsSubgroup(): boolean {
    return this.lanes <= this.limits.subgroupSize && this.limits.subgroupSize <= 64;
  }

  private workgroupOf(lanes: number): number {
    return Math.max(this.limits.software ? 8 : 32, lanes);
  }

  private kernelOptions(kind: KernelOptions['kind'], more: Partial<KernelOptions>): KernelOptions {
    const { shape, options, chunk, lanes } = this;
    const small = kind === 'combine' || kind === 'reduce';
    const { complex, dState, variableB, variableC } = shape;
    const states = {
      dState,
      lanes,
      chunk,
      complex,
      variableB,
      variableC,
      grouped: shape.groups > 1,
      vectors: !complex && dState === 4 * lanes,
    };
    // small kernels do not depend on how states are laid out, and so are the same for many scans
    const plain = {
      dState: 1,
      lanes: 1,
      chunk: 1,
      complex,
      variableB: true,
      variableC: true,
      grouped: false,
      vectors: false,
    };
    return {
      ...{
        kind,
        ...(small ? plain : states),
        softplus: !small && options.deltaSoftplus === true,
        dtype: options.dtype ?? 'float32',
      },
      ...{
        workgroup: 64,
        team: 1,
        steps: 1,
        exchange: 'memory',
        coefficients: 'array',
        batch: 1,
        unrolled: !small && !this.limits.software,
      },
      ...{ oneBuffer: options.oneBuffer === true, arrays: [] },
      ...more,
    };
  }

  /** The largest batch of steps, and B and C in workgroup memory, as far as that memory goes. */
  private fitBackward(base: KernelOptions): KernelOptions {
    const withArrays = { ...base, arrays: standIns(this.builder.given('z')) };
    for (const coefficients of this.limits.software ? (['array'] as const) : (['memory', 'array'] as const)) {
      for (const batch of [4, 2, 1]) {
        if (backwardMemory({ ...withArrays, coefficients, batch }) <= this.limits.maxComputeWorkgroupStorageSize) {
          return { ...base, coefficients, batch };
        }
      }
    }
    throw new ScanShapeError(
      'planScan',
      'options.limits',
      'enough workgroup memory for backward',
      `${this.limits.maxComputeWorkgroupStorageSize} bytes`,
    );
  }
}

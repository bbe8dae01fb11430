// Kernels that walk over time: forward, h_t = a_t h_{t-1} + dt_t B_t u_t and y_t = sum_n C_t h_t, and backward's first
// half, the adjoints s_t = k g_t conj(C_t) + conj(a_{t+1}) s_{t+1}. `lanes` lanes share a channel with four states each
// in registers. Each lane loads and finishes some steps of a tile (its own ones) and tells the others; the numbers of the
// next tile are in flight meanwhile. Long sequences with few channels are cut into segments: `ends` first takes every
// segment from zero to (state after it, decay of all of it), `combine` turns these into the states before each segment.
import { type KernelOptions, each, entryHead, hasArray, moduleHead } from './module';
import { leaveForSum, sumOverLanes, sumsMemory, sumsVariables } from './sums';

/** What a walk does, as far as several parts of its text depend on it. */
export interface Walk {
  readonly options: KernelOptions;
  readonly adjoint: boolean;
  /** Only the ends of segments are wanted. */
  readonly ends: boolean;
  /** y is wanted. */
  readonly outputs: boolean;
  readonly gated: boolean;
  readonly resets: boolean;
  /** Lanes that walk together, over the same steps. */
  readonly width: number;
  /** Steps that a lane loads and finishes; lanes that have the same ones. */
  readonly own: number;
  readonly share: number;
  /** Time steps are exchanged in workgroup memory. */
  readonly inMemory: boolean;
  /** Arrays whose own steps a lane loads. */
  readonly inputs: readonly string[];
  readonly variable: readonly ('B' | 'C')[];
  readonly constant: readonly ('B' | 'C')[];
  /** Rows of variable B and C of a tile that a lane loads for all. */
  readonly held: number;
}

export function describeWalk(options: KernelOptions): Walk {
  const { kind, lanes, workgroup, team, steps, exchange, coefficients, variableB, variableC } = options;
  const adjoint = kind === 'adjoint' || kind === 'adjointEnds';
  const outputs = kind === 'forward' && hasArray(options, 'y');
  const gated = hasArray(options, 'z') && (adjoint || outputs);
  const needed: ('B' | 'C')[] = adjoint ? ['C'] : outputs ? ['B', 'C'] : ['B'];
  const width = workgroup / team;
  const isVariable = (name: 'B' | 'C'): boolean => (name === 'B' ? variableB : variableC);
  return {
    ...{
      options,
      adjoint,
      outputs,
      gated,
      width,
      ends: kind === 'ends' || kind === 'adjointEnds',
      resets: hasArray(options, 'resets'),
    },
    ...{
      own: Math.max(1, steps / lanes),
      share: Math.max(1, lanes / steps),
      inMemory: lanes > 1 && exchange === 'memory',
    },
    inputs: [adjoint ? 'gradY' : 'u', 'delta', ...(gated ? ['z'] : [])],
    variable: needed.filter(isVariable),
    constant: needed.filter((name) => !isVariable(name)),
    held: coefficients === 'array' ? 0 : Math.ceil((steps * lanes) / width),
  };
}

/** Row of B or C that entry `lane + j W` of a tile is, for the tile from step `at` on. */
function heldRow({ options, width }: Walk, name: string, at: string, j: string): string {
  const entry = `(lane + ${j} * ${width})`;
  return `load_${name}(rowOf(b, ${at} + ${entry} / ${options.lanes}) * sizes.groups + group, ${entry} % ${options.lanes})`;
}

/** Loads of a lane for the tile from step `at` on, into variables whose names begin with `to`. */
export function fetch(walk: Walk, at: string, to: string): string {
  const { options, own, inputs, resets, variable, held } = walk;
  const steps = each(options, 'i', own, (i) => {
    const loads = inputs.map((name) => `${to}${name}[${i}] = get_${name}(row * sizes.channels + d);`);
    if (resets) loads.push(`${to}keep[${i}] = select(1.0, 0.0, get_resets(row) != 0.0);`);
    return `let row = rowOf(b, ${at} + first + ${i}); ${loads.join(' ')}`;
  });
  if (held === 0) return steps;
  const rows = variable.map((name) =>
    each(options, 'j', held, (j) => `${to}held${name}[${j}] = ${heldRow(walk, name, at, j)};`),
  );
  return [steps, ...rows].join('\n');
}

/** Variables that `fetch` fills. */
export function variables({ inputs, resets, own, variable, held }: Walk): { name: string; type: string }[] {
  return [
    ...[...inputs, ...(resets ? ['keep'] : [])].map((name) => ({ name, type: `array<f32, ${own}>` })),
    ...(held > 0 ? variable.map((name) => ({ name: `held${name}`, type: `array<State, ${held}>` })) : []),
  ];
}

/** Own steps: dt, and what B or C is multiplied by, dt u forward and k g backward; for the other lanes too. */
function prepare({ options, own, share, adjoint, gated, resets, inMemory }: Walk): string {
  const bias = hasArray(options, 'deltaBias') ? ' + bias' : '';
  const gate = gated ? ` * z[${'I'}] * sigmoid(z[${'I'}])` : '';
  const lines = each(options, 'i', own, (i) => {
    const value = adjoint
      ? `${options.complex ? '2.0 * ' : ''}gradY[${i}]${gate.replaceAll('I', i)}`
      : `dt[${i}] * u[${i}]`;
    const parts = [
      `let inside = t0 + first + ${i} < end;`,
      `dt[${i}] = select(0.0, timeStep(delta[${i}]${bias}).x, inside);`,
      `x[${i}] = select(0.0, ${value}, inside);`,
    ];
    if (resets) parts.push(`keep[${i}] = select(1.0, keep[${i}], inside);`);
    if (inMemory) {
      const step = resets ? `vec3f(dt[${i}], x[${i}], keep[${i}])` : `vec2f(dt[${i}], x[${i}])`;
      parts.push(`if (k % ${share} == 0) { tileSteps[c][first + ${i}] = ${step}; }`);
    }
    return parts.join(' ');
  });
  return `var dt: array<f32, ${own}>; var x: array<f32, ${own}>;\n${lines}`;
}

/** B or C of step t of the tile, for lane k. */
function coefficient({ options, width, constant }: Walk, name: 'B' | 'C', t: string): string {
  const { lanes, coefficients, complex } = options;
  if (constant.includes(name)) return `constant${name}`;
  if (coefficients === 'memory') return `tile${name}[${t}][k]`;
  if (coefficients === 'array') return `load_${name}(rowOf(b, t0 + ${t}) * sizes.groups + group, k)`;
  const from = `held${name}[${t} * ${lanes} / ${width}]`;
  const lane = `${t} * ${lanes} % ${width} + k`;
  return complex
    ? `State(subgroupShuffle(${from}.re, ${lane}), subgroupShuffle(${from}.im, ${lane}))`
    : `subgroupShuffle(${from}, ${lane})`;
}

/** Declares dtNow, xNow, and kept where there are resets, of step t, and a, its decay. */
function stepAt({ options, own, share, inMemory, resets }: Walk, t: string): string {
  const value = (name: string): string =>
    options.lanes === 1 ? `${name}[${t}]` : `subgroupShuffle(${name}[${t} % ${own}], base + ${t} / ${own} * ${share})`;
  const keep = resets ? (inMemory ? 'let kept = now.z;' : `let kept = ${value('keep')};`) : '';
  const step = inMemory
    ? `let now = tileSteps[c][${t}]; let dtNow = now.x; let xNow = now.y;`
    : `let dtNow = ${value('dt')}; let xNow = ${value('x')};`;
  return `${step} ${keep} let a = ${resets ? 'scale(kept, decay(dtNow, A))' : 'decay(dtNow, A)'};`;
}

/** One step of the states. */
function advance(walk: Walk, t: string): string {
  const { options, resets, ends, adjoint, outputs } = walk;
  const lines = [stepAt(walk, t)];
  if (ends) lines.push(`sum += dtNow;${resets ? ' keepAll *= kept;' : ''}`);
  if (adjoint) lines.push(`h = multiply(conjugate(a), add(h, scale(xNow, conjugate(${coefficient(walk, 'C', t)}))));`);
  else lines.push(`h = multiplyAdd(a, h, scale(xNow, ${coefficient(walk, 'B', t)}));`);
  if (outputs) lines.push(leaveForSum(options, 'y', t, `realOfProduct(${coefficient(walk, 'C', t)}, h)`));
  return lines.join(' ');
}

/** The decay of steps whose dt add up to `sum`, and of which all were kept, or none. */
export function decayOfAll({ adjoint, resets }: Walk): string {
  const all = adjoint ? 'conjugate(decay(sum, A))' : 'decay(sum, A)';
  return resets ? `scale(keepAll, ${all})` : all;
}

/** y of the own steps. */
export function finish({ options, own, width, gated }: Walk): string {
  const lines = each(options, 'i', own, (i) => {
    const sum = options.complex ? `2.0 * yTotal[${i}]` : `yTotal[${i}]`;
    const skipped = hasArray(options, 'D') ? `fma(skip, u[${i}], ${sum})` : sum;
    const value = gated ? `(${skipped}) * z[${i}] * sigmoid(z[${i}])` : skipped;
    return `let t = t0 + first + ${i}; if (writes && t < end) { set_y(rowOf(b, t) * sizes.channels + d, ${value}); }`;
  });
  const apart = options.team > 1 ? width / options.lanes : 1;
  return `${sumOverLanes(options, ['y'], apart)}\n${lines}`;
}

const stateRow = 'b * sizes.channels + d';
const segmentRow = (segment: string): string => `(b * sizes.segments + ${segment}) * sizes.channels + d`;

/** The state before the first step of the walk. */
function begin({ options, adjoint, ends }: Walk): string {
  const inPlace = options.arrays.some(({ name, access }) => name === 'lastState' && access === 'read_write');
  const initial = adjoint ? 'gradLastState' : inPlace ? 'lastState' : 'initialState';
  const load = hasArray(options, initial) ? `h = load_${initial}(${stateRow}, k);` : '';
  const outermost = adjoint ? 'segment == sizes.segments - 1' : 'segment == 0';
  if (ends) return `if (${outermost}) { ${load} }`;
  return hasArray(options, 'starts')
    ? `if (${outermost}) { ${load} } else { h = load_starts(${segmentRow('segment')}, k); }`
    : load;
}

/** States at the boundaries of chunks. */
export function boundary({ options, adjoint }: Walk): string {
  const { chunk, steps } = options;
  const at = `(b * sizes.chunks + t0 / ${chunk}) * sizes.channels + d`;
  const condition = adjoint
    ? `valid && t0 < end && (t0 + ${steps} >= end || (t0 + ${steps}) % ${chunk} == 0)`
    : `valid && t0 < end && t0 % ${chunk} == 0`;
  return (['adjoints', 'checkpoints', 'states'] as const)
    .filter((name) => hasArray(options, name))
    .map((name) => `if (${condition}) { store_${name}(${at}, k, h); }`)
    .join('\n');
}

/** The state behind the last step of the walk. */
function close(walk: Walk): string {
  const { options, adjoint, ends } = walk;
  if (ends) {
    const neighbour = segmentRow(adjoint ? 'segment - 1' : 'segment + 1');
    return `if (valid) { store_starts(${neighbour}, k, h); store_decays(${neighbour}, k, ${decayOfAll(walk)}); }`;
  }
  if (adjoint)
    return hasArray(options, 'gradInitialState')
      ? `if (valid && segment == 0) { store_gradInitialState(${stateRow}, k, h); }`
      : '';
  return hasArray(options, 'lastState')
    ? `if (valid && end == sizes.length) { store_lastState(${stateRow}, k, h); }`
    : '';
}

/** Module, bindings and what an invocation knows before its first step: its place, A, constants, the state `h`. */
export function walkHead(walk: Walk, memory: readonly string[]): string[] {
  const { options, adjoint, ends, outputs, own, share, width, constant } = walk;
  const { lanes: K, coefficients, grouped } = options;
  const inTile = width / K;
  const segmentCount = ends ? '(sizes.segments - 1)' : 'sizes.segments';
  const group = !grouped ? '0u' : coefficients === 'array' ? 'd / sizes.perGroup' : `tile * ${inTile} / sizes.perGroup`;
  return [
    moduleHead(options),
    ...memory,
    'fn rowOf(b: u32, t: u32) -> u32 { return sizes.rowOffset + b * sizes.rows + min(t, sizes.length - 1); }',
    entryHead(options),
    options.team > 1
      ? `let c = lane % ${inTile}; let k = lane / ${inTile};`
      : `let c = lane / ${K}; let k = lane % ${K}; let base = lane - k;`,
    `let first = k / ${share} * ${own};`,
    `let tile = index % sizes.tiles; let segment = index / sizes.tiles % ${segmentCount}${ends && adjoint ? ' + 1' : ''};`,
    `let b = index / sizes.tiles / ${segmentCount};`,
    `let valid = tile * ${inTile} + c < sizes.channels; let d = min(tile * ${inTile} + c, sizes.channels - 1);`,
    `let group = ${group}; let writes = valid && k % ${share} == 0;`,
    'let begin = segment * sizes.segmentSteps; let end = min(begin + sizes.segmentSteps, sizes.length);',
    'let A = scaledA(load_A(d, k));',
    ...constant.map((name) => `let constant${name} = load_${name}(d, k);`),
    hasArray(options, 'deltaBias') ? 'let bias = get_deltaBias(d);' : '',
    hasArray(options, 'D') && outputs ? 'let skip = get_D(d);' : '',
    'var h = zeroState();',
    begin(walk),
  ];
}

/** Variables of a tile, and in unrolled code its loads a tile ahead: the lines before the loop, and those that begin it. */
function tileLoads(walk: Walk, first: string, ahead: string): { before: string[]; inside: string[] } {
  const { unrolled } = walk.options;
  const names = variables(walk);
  return {
    before: [
      ...names.map(({ name, type }) => `var ${name}: ${type};${unrolled ? ` var next_${name}: ${type};` : ''}`),
      ...(unrolled ? [`let t1 = ${first};`, fetch(walk, 't1', 'next_')] : []),
    ],
    inside: unrolled
      ? [...names.map(({ name }) => `${name} = next_${name};`), `let ahead = ${ahead};`, fetch(walk, 'ahead', 'next_')]
      : [fetch(walk, 't0', '')],
  };
}

export function walkKernel(options: KernelOptions): string {
  const { lanes: K, workgroup: W, steps: T, coefficients } = options;
  const walk = describeWalk(options);
  const { adjoint, ends, outputs, inMemory, resets, variable, held } = walk;
  const barrier = inMemory || (coefficients === 'memory' && variable.length > 0) ? 'workgroupBarrier();' : '';
  const memory = [
    ...(inMemory ? [`var<workgroup> tileSteps: array<array<${resets ? 'vec3f' : 'vec2f'}, ${T}>, ${W / K}>;`] : []),
    ...(outputs ? sumsMemory(options, ['y']) : []),
    ...(coefficients === 'memory'
      ? variable.map((name) => `var<workgroup> tile${name}: array<array<State, ${K}>, ${T}>;`)
      : []),
  ];
  const toMemory =
    coefficients === 'memory'
      ? variable.map((name) =>
          each(
            options,
            'j',
            held,
            (j) =>
              `let entry = lane + ${j} * ${W}; if (entry < ${T * K}) { tile${name}[entry / ${K}][entry % ${K}] = held${name}[${j}]; }`,
          ),
        )
      : [];
  const { before, inside } = tileLoads(
    walk,
    adjoint ? `begin + (count - 1) * ${T}` : 'begin',
    adjoint ? `max(t0, begin + ${T}) - ${T}` : `t0 + ${T}`,
  );
  const lines = [
    ...walkHead(walk, memory),
    ends ? `var sum = 0.0;${resets ? ' var keepAll = 1.0;' : ''}` : '',
    `let count = (end - begin + ${T - 1}) / ${T};`,
    ...before,
    'for (var i = 0u; i < count; i++) {',
    `let t0 = ${adjoint ? `begin + (count - 1 - i) * ${T}` : `begin + i * ${T}`};`,
    ...inside,
    boundary(walk),
    prepare(walk),
    ...toMemory,
    barrier,
    outputs ? sumsVariables(options, ['y']) : '',
    each(options, 't', T, (t) => advance(walk, t), adjoint),
    barrier,
    outputs ? finish(walk) : '',
    '}',
    close(walk),
    '}',
  ];
  return lines.filter((line) => line !== '').join('\n');
}

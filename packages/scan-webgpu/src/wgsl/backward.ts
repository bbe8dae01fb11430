// Second half of backward, parallel over chunks of T steps: a workgroup takes one chunk and walks over the channels of a
// group (or a part of them), so that dB and dC of the chunk add up in registers, in a fixed order. Per channel: the state
// before the chunk and the adjoint behind it come from the walks before; h_t is computed again and kept, then time runs
// backwards:  q_t = s_t conj(a_t h_{t-1}),  dA += dt q,  ddt = u Re(s conj(B)) + Re(q conj(A)),  dB += s dt u,  dC += k g conj(h)
import { type KernelOptions, each, entryHead, hasArray, moduleHead, widthOf } from './module';
import { leaveForSum, sumOverLanes, sumsMemory, sumsVariables } from './sums';

interface Layout {
  readonly options: KernelOptions;
  readonly gated: boolean;
  readonly resets: boolean;
  readonly own: number;
  readonly share: number;
  /** Channels at a time. */
  readonly inTile: number;
  /** Time steps and sums over lanes are exchanged in workgroup memory. */
  readonly inMemory: boolean;
  readonly variable: readonly ('B' | 'C')[];
  readonly constant: readonly ('B' | 'C')[];
  /** dB and dC are summed over the channels of a workgroup. */
  readonly exchanged: boolean;
  /** Sums over channels of one batch of steps, in rows of `lanes`, and how many of them are a lane's. */
  readonly outputs: number;
  readonly perLane: number;
}

function describe(options: KernelOptions): Layout {
  const { lanes, workgroup, steps, exchange, variableB, variableC, batch } = options;
  const variable = [...(variableB ? (['B'] as const) : []), ...(variableC ? (['C'] as const) : [])];
  const outputs = variable.length * batch * lanes;
  return {
    ...{ options, gated: hasArray(options, 'z'), resets: hasArray(options, 'resets'), inTile: workgroup / lanes },
    ...{
      own: Math.max(1, steps / lanes),
      share: Math.max(1, lanes / steps),
      inMemory: lanes > 1 && exchange === 'memory',
    },
    ...{
      variable,
      constant: (['B', 'C'] as const).filter((name) => !variable.includes(name)),
      exchanged: workgroup > lanes && variable.length > 0,
    },
    ...{ outputs, perLane: Math.ceil(outputs / workgroup) },
  };
}

/** Bytes of workgroup memory of the kernel. */
export function backwardMemory(options: KernelOptions): number {
  const { lanes: K, workgroup: W, steps: T, coefficients, batch } = options;
  const { gated, inTile, inMemory, variable, exchanged } = describe(options);
  const state = 16 * widthOf(options);
  const steps = inMemory ? inTile * T * 16 + W * 8 : 0;
  const sums = inMemory ? T * W * 4 * (gated ? 3 : 2) : 0;
  const parts = exchanged ? variable.length * batch * W * state : 0;
  return steps + sums + parts + (coefficients === 'memory' ? variable.length * T * K * state : 0);
}

const sumNames = ({ gated }: Layout): string[] => ['ofB', 'ofA', ...(gated ? ['y'] : [])];

/** What a lane loads of a tile of channels: in unrolled code a tile ahead, into the variables `next_…`. */
function variables({ options, own, gated, constant }: Layout): { name: string; type: string; load: string }[] {
  const steps = ['u', 'delta', 'gradY', ...(gated ? ['z'] : [])];
  const to = options.unrolled ? 'next_' : '';
  const states = options.arrays.some(({ name }) => name === 'checkpoints') ? 'checkpoints' : 'states';
  return [
    ...steps.map((name) => ({
      ...{ name, type: `array<f32, ${own}>` },
      load: each(options, 'i', own, (i) => `${to}${name}[${i}] = get_${name}(ownRow[${i}] * sizes.channels + at);`),
    })),
    { name: 'start', type: 'State', load: `${to}start = load_${states}(chunkRow + at, k);` },
    { name: 'behind', type: 'State', load: `${to}behind = load_adjoints(chunkRow + at, k);` },
    { name: 'plainA', type: 'State', load: `${to}plainA = load_A(at, k);` },
    ...constant.map((name) => ({
      name: `constant${name}`,
      type: 'State',
      load: `${to}constant${name} = load_${name}(at, k);`,
    })),
    ...(hasArray(options, 'deltaBias') ? [{ name: 'bias', type: 'f32', load: `${to}bias = get_deltaBias(at);` }] : []),
    ...(hasArray(options, 'D') ? [{ name: 'skip', type: 'f32', load: `${to}skip = get_D(at);` }] : []),
  ];
}

/** Own steps: dt, its slope, g; and (dt, dt u, k g, keep), which other lanes need as well. */
function prepare({ options, own, share, gated, resets, inMemory }: Layout): string {
  const bias = hasArray(options, 'deltaBias') ? ' + bias' : '';
  const lines = each(options, 'i', own, (i) => {
    const gate = gated ? ` * z[${i}] * sigmoid(z[${i}])` : '';
    return [
      `let live = valid && t0 + first + ${i} < sizes.length;`,
      `dt[${i}] = select(vec2f(), timeStep(delta[${i}]${bias}), live);`,
      `g[${i}] = select(0.0, gradY[${i}]${gate}, live);`,
      `mine[${i}] = vec4f(dt[${i}].x, dt[${i}].x * u[${i}], ${options.complex ? '2.0 * ' : ''}g[${i}], ${resets ? `ownKeep[${i}]` : '1.0'});`,
      inMemory ? `if (k % ${share} == 0) { tileSteps[c][first + ${i}] = mine[${i}]; }` : '',
    ].join(' ');
  });
  return `var dt: array<vec2f, ${own}>; var g: array<f32, ${own}>; var mine: array<vec4f, ${own}>;\n${lines}${inMemory ? '\nworkgroupBarrier();' : ''}`;
}

/** (dt, dt u, k g, keep) of step t. */
function stepOf({ options, own, share, inMemory }: Layout, t: string): string {
  if (inMemory) return `tileSteps[c][${t}]`;
  if (options.lanes === 1) return `mine[${t}]`;
  return `subgroupShuffle(mine[${t} % ${own}], base + ${t} / ${own} * ${share})`;
}

function coefficient({ options, variable }: Layout, name: 'B' | 'C', t: string): string {
  if (!variable.includes(name)) return `constant${name}`;
  if (options.coefficients === 'memory') return `tile${name}[${t}][k]`;
  return `load_${name}(rowOf(b, t0 + ${t}) * sizes.groups + group, k)`;
}

/** The states of the chunk once more. */
function again(layout: Layout): string {
  const { options, gated, resets } = layout;
  const a = resets ? 'scale(now.w, decay(now.x, A))' : 'decay(now.x, A)';
  const lines = each(options, 't', options.steps, (t) => {
    const y = gated ? leaveForSum(options, 'y', t, `realOfProduct(${coefficient(layout, 'C', t)}, last)`) : '';
    return `let now = ${stepOf(layout, t)}; h[${t}] = last; last = multiplyAdd(${a}, last, scale(now.y, ${coefficient(layout, 'B', t)})); ${y}`;
  });
  return `var h: array<State, ${options.steps}>; var last = start; // h[t] is the state before step t\n${lines}`;
}

/** Time backwards, in batches of steps whose dB and dC are summed over channels together. */
function back(layout: Layout): string {
  const { options, resets, variable, constant, exchanged, perLane, outputs, inTile } = layout;
  const { steps: T, batch: Q, lanes: K, workgroup: W } = options;
  const a = resets ? 'scale(now.w, decay(now.x, A))' : 'decay(now.x, A)';
  const gradient = { B: 'scale(now.y, s)', C: 'scale(now.z, conjugate(last))' };
  const oneStep = (t: string, q: string): string => {
    const collect = [
      ...constant.map((name) => `total${name} = add(total${name}, ${gradient[name]});`),
      ...variable.map((name, which) =>
        exchanged
          ? `tileParts[${which * Q} + ${q}][c][k] = ${gradient[name]};`
          : `all${name}[${t}] = add(all${name}[${t}], ${gradient[name]});`,
      ),
    ];
    return [
      `let now = ${stepOf(layout, t)}; let s = add(carry, scale(now.z, conjugate(${coefficient(layout, 'C', t)}))); let a = ${a};`,
      `let product = multiply(s, conjugate(multiply(a, h[${t}]))); gradA = add(gradA, scale(now.x, product)); ${leaveForSum(options, 'ofA', t, 'alongA(product, A)')}`,
      leaveForSum(options, 'ofB', t, `realOfProduct(s, conjugate(${coefficient(layout, 'B', t)}))`),
      ...collect,
      `carry = multiply(conjugate(a), s); last = h[${t}];`,
    ].join('\n');
  };
  if (!exchanged) return each(options, 't', T, (t) => oneStep(t, '0u'), true);
  const add = (m: string): string =>
    each(options, 'j', perLane, (j) => {
      const o = `(lane + ${j} * ${W})`;
      const from = (other: string): string => `tileParts[${o} / ${K}][${other}][${o} % ${K}]`; // of (which, step of the batch)
      const sum = each(options, 'other', inTile - 1, (other) => `sum = add(sum, ${from(`${other} + 1`)});`);
      const all = `all[${m} * ${perLane} + ${j}]`;
      return `if (${o} < ${outputs}) { var sum = ${from('0')};\n${sum}\n${all} = add(${all}, sum); }`;
    });
  return each(options, 'm', T / Q, (m) => {
    const steps = each(options, 'q', Q, (q) => oneStep(`(${T - 1} - ${m} * ${Q} - ${q})`, q));
    return `${steps}\nworkgroupBarrier();\n${add(m)}\nworkgroupBarrier();`;
  });
}

/** Gradients of the own steps, and their sums for D and deltaBias. */
function finish(layout: Layout): string {
  const { options, own, share, gated, inMemory } = layout;
  const { lanes: K } = options;
  const skips = hasArray(options, 'D');
  const steps = each(options, 'i', own, (i) => {
    const at = `ownRow[${i}] * sizes.channels + d`;
    const gradU = `dt[${i}].x * ofBTotal[${i}]`;
    const y = `${options.complex ? '2.0 * ' : ''}yTotal[${i}]`;
    const gradZ = `gradY[${i}] * (${skips ? `fma(skip, u[${i}], ${y})` : y}) * gate * (1.0 + z[${i}] * (1.0 - gate))`;
    return [
      `let gradDelta = (ofBTotal[${i}] * u[${i}] + ofATotal[${i}]) * dt[${i}].y;`,
      `if (valid && t0 + first + ${i} < sizes.length && k % ${share} == 0) {`,
      `set_gradU(${at}, ${skips ? `fma(skip, g[${i}], ${gradU})` : gradU}); set_gradDelta(${at}, gradDelta);`,
      gated ? `let gate = sigmoid(z[${i}]); set_gradZ(${at}, ${gradZ});` : '',
      `ends += vec2f(g[${i}] * u[${i}], gradDelta);`,
      '}',
    ].join(' ');
  });
  const stores = [
    ...(hasArray(options, 'partsD') ? ['set_partsD(chunkRow + d, ends.x);'] : []),
    ...(hasArray(options, 'partsBias') ? ['set_partsBias(chunkRow + d, ends.y);'] : []),
  ];
  const lines = ['var ends = vec2f();', steps];
  if (stores.length > 0) {
    const parts = Array.from({ length: K }, (_, j) => `tileEnds[c * ${K} + ${j}]`);
    if (inMemory) lines.push('tileEnds[lane] = ends;', 'workgroupBarrier();', `ends = ${parts.join(' + ')};`);
    else for (let mask = K / 2; mask >= 1; mask /= 2) lines.push(`ends += subgroupShuffleXor(ends, ${mask});`);
    lines.push(`if (valid && k == 0) { ${stores.join(' ')} }`);
  }
  return lines.join('\n');
}

/** Stores dB and dC of the chunk. */
function leave({ options, variable, exchanged, perLane }: Layout): string {
  const { steps: T, batch: Q, lanes: K, workgroup: W } = options;
  const row = (t: string): string => `((part * sizes.batch + b) * sizes.length + t0 + ${t}) * sizes.groups + group`;
  if (!exchanged) {
    return variable
      .map((name) =>
        each(
          options,
          't',
          T,
          (t) => `if (t0 + ${t} < sizes.length) { store_parts${name}(${row(t)}, k, all${name}[${t}]); }`,
        ),
      )
      .join('\n');
  }
  return each(options, 'm', T / Q, (m) =>
    each(options, 'j', perLane, (j) => {
      const o = `(lane + ${j} * ${W})`;
      const stores = variable.map(
        (name, which) =>
          `if (${o} / ${Q * K} == ${which}) { store_parts${name}(${row('t')}, ${o} % ${K}, all[${m} * ${perLane} + ${j}]); }`,
      );
      return `let t = ${T - 1} - ${m} * ${Q} - ${o} / ${K} % ${Q}; if (t0 + t < sizes.length) { ${stores.join(' ')} }`;
    }),
  );
}

export function backwardKernel(options: KernelOptions): string {
  const { lanes: K, workgroup: W, steps: T, coefficients, batch: Q, unrolled } = options;
  const layout = describe(options);
  const { resets, own, share, inTile, inMemory, variable, constant, exchanged, perLane } = layout;
  const tiled = coefficients === 'memory' ? variable : [];
  const names = variables(layout);
  const channel = (tile: string): string => `group * sizes.perGroup + min(${tile} * ${inTile} + c, sizes.perGroup - 1)`;
  const loads = (tile: string): string =>
    [`{ let at = ${channel(tile)};`, ...names.map(({ load }) => load), '}'].join('\n');
  const lines = [
    moduleHead(options),
    ...(inMemory
      ? [
          `var<workgroup> tileSteps: array<array<vec4f, ${T}>, ${inTile}>;`,
          `var<workgroup> tileEnds: array<vec2f, ${W}>;`,
        ]
      : []),
    ...sumsMemory(options, sumNames(layout)),
    ...(exchanged
      ? [`var<workgroup> tileParts: array<array<array<State, ${K}>, ${inTile}>, ${variable.length * Q}>;`]
      : []),
    ...tiled.map((name) => `var<workgroup> tile${name}: array<array<State, ${K}>, ${T}>;`),
    'fn rowOf(b: u32, t: u32) -> u32 { return sizes.rowOffset + b * sizes.rows + min(t, sizes.length - 1); }',
    entryHead(options),
    `let c = lane / ${K}; let k = lane % ${K}; let base = lane - k; let first = k / ${share} * ${own};`,
    'let part = index % sizes.parts; let group = index / sizes.parts % sizes.groups;',
    'let chunk = index / sizes.parts / sizes.groups % sizes.chunks; let b = index / sizes.parts / sizes.groups / sizes.chunks;',
    `let t0 = chunk * ${T}; let chunkRow = (b * sizes.chunks + chunk) * sizes.channels;`,
    `var ownRow: array<u32, ${own}>; var ownKeep: array<f32, ${own}>;`,
    each(options, 'i', own, (i) => `ownRow[${i}] = rowOf(b, t0 + first + ${i});`),
    resets
      ? each(
          options,
          'i',
          own,
          (i) =>
            `ownKeep[${i}] = select(1.0, 0.0, t0 + first + ${i} < sizes.length && get_resets(ownRow[${i}]) != 0.0);`,
        )
      : '',
    ...tiled.map((name) =>
      each(options, 'j', Math.ceil((T * K) / W), (j) => {
        const entry = `(lane + ${j} * ${W})`;
        return `if (${entry} < ${T * K}) { tile${name}[${entry} / ${K}][${entry} % ${K}] = load_${name}(rowOf(b, t0 + ${entry} / ${K}) * sizes.groups + group, ${entry} % ${K}); }`;
      }),
    ),
    tiled.length > 0 ? 'workgroupBarrier();' : '',
    ...(exchanged
      ? [`var all: array<State, ${(T / Q) * perLane}>;`]
      : variable.map((name) => `var all${name}: array<State, ${T}>;`)),
    'let tileBegin = part * sizes.tilesPerPart; let tileEnd = min(tileBegin + sizes.tilesPerPart, sizes.tiles);',
    ...names.map(({ name, type }) => `var ${name}: ${type};${unrolled ? ` var next_${name}: ${type};` : ''}`),
    unrolled ? loads('tileBegin') : '',
    'for (var tile = tileBegin; tile < tileEnd; tile++) {',
    `let valid = tile * ${inTile} + c < sizes.perGroup; let d = ${channel('tile')};`,
    ...(unrolled ? [...names.map(({ name }) => `${name} = next_${name};`), loads('(tile + 1)')] : [loads('tile')]),
    'let A = scaledA(plainA); var carry = behind; var gradA = zeroState();',
    ...constant.map((name) => `var total${name} = zeroState();`),
    prepare(layout),
    sumsVariables(options, sumNames(layout)),
    again(layout),
    back(layout),
    inMemory && !exchanged ? 'workgroupBarrier();' : '',
    sumOverLanes(options, sumNames(layout)),
    finish(layout),
    'if (valid) { store_adjoints(chunkRow + d, k, gradA);',
    ...constant.map((name) => `store_parts${name}(chunkRow + d, k, total${name});`),
    '}',
    '}',
    leave(layout),
    '}',
  ];
  return lines.filter((line) => line !== '').join('\n');
}

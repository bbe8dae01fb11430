// A walk over time in one dispatch although channels are few: the subgroups of a workgroup share channels and take tiles
// of steps in turn. In a round each takes its tile from zero to (state after it, decay of all of it), keeping decays and
// inputs of the states in registers; behind a barrier it adds what its predecessors left, and walks over the kept numbers
// again where y is wanted. So an exponential is taken once per state and step, and arrays are read once.
// Time steps, B and C reach the lanes through workgroup memory, written a round ahead: one barrier a round serves all.
import { type KernelOptions, each, hasArray, widthOf } from './module';
import { leaveForSum, sumsVariables } from './sums';
import { type Walk, boundary, decayOfAll, describeWalk, fetch, finish, variables, walkHead } from './walk';

/** The coefficient that the states need, and in kernels that leave y the one of the outputs, if they vary and are tiled. */
function tiled({ options, adjoint, outputs, variable }: Walk): {
  inner: 'B' | 'C' | undefined;
  outer: 'C' | undefined;
} {
  const has = (name: 'B' | 'C'): boolean => options.coefficients === 'memory' && variable.includes(name);
  const inner = adjoint ? 'C' : 'B';
  return { inner: has(inner) ? inner : undefined, outer: outputs && has('C') ? 'C' : undefined };
}

/** Bytes of workgroup memory of the kernel. */
export function teamMemory(options: KernelOptions): number {
  const { workgroup, team: G, lanes: K, steps: T } = options;
  const walk = describeWalk(options);
  const { inner, outer } = tiled(walk);
  const { width, resets } = walk;
  const state = 16 * widthOf(options);
  const steps = 2 * G * T * (width / K) * (resets ? 16 : 8);
  const coefficients = ((inner === undefined ? 0 : 2) + (outer === undefined ? 0 : 3)) * G * T * K * state;
  return steps + coefficients + (4 * (workgroup - width) + 2 * width) * state + 4;
}

/** From the loads `next_…` of the tile from step `at` on: dt and x of the own steps, B and C, to workgroup memory. */
function prepare(walk: Walk, at: string, slot: string, third: string): string {
  const { options, own, share, width, adjoint, gated, resets, held } = walk;
  const { lanes: K, steps: T } = options;
  const bias = hasArray(options, 'deltaBias') ? ' + bias' : '';
  const steps = each(options, 'i', own, (i) => {
    const gate = gated ? ` * next_z[${i}] * sigmoid(next_z[${i}])` : '';
    const value = adjoint ? `${options.complex ? '2.0 * ' : ''}next_gradY[${i}]${gate}` : `dt * next_u[${i}]`;
    const step = resets ? `vec3f(dt, x, select(1.0, next_keep[${i}], inside))` : 'vec2f(dt, x)';
    const store = `teamSteps[${slot}][first + ${i}][c] = ${step};`;
    return [
      `let inside = ${at} + first + ${i} < end;`,
      `let dt = select(0.0, timeStep(next_delta[${i}]${bias}).x, inside); let x = select(0.0, ${value}, inside);`,
      share === 1 ? store : `if (k % ${share} == 0) { ${store} }`,
    ].join(' ');
  });
  const { inner, outer } = tiled(walk);
  const rows = (name: string | undefined, array: string, place: string): string =>
    name === undefined
      ? ''
      : each(options, 'j', held, (j) => {
          const entry = `(lane + ${j} * ${width})`;
          const store = `${array}[${place}][${entry} / ${K}][${entry} % ${K}] = next_held${name}[${j}];`;
          return (T * K) % width === 0 ? store : `if (${entry} < ${T * K}) { ${store} }`;
        });
  return [steps, rows(inner, 'teamInner', slot), rows(outer, 'teamOuter', third)].join('\n');
}

/** B or C of step t of the tile. */
function coefficient(walk: Walk, name: 'B' | 'C', t: string, place: string): string {
  const { options, constant, adjoint } = walk;
  if (constant.includes(name)) return `constant${name}`;
  if (options.coefficients === 'array') return `load_${name}(rowOf(b, t0 + ${t}) * sizes.groups + group, k)`;
  const array = name === 'B' || adjoint ? 'teamInner' : 'teamOuter';
  return `${array}[${place}][${t}][k]`;
}

/** One step of the tile from zero. */
function fromZero(walk: Walk, t: string): string {
  const { adjoint, outputs, resets } = walk;
  const lines = [
    `let now = teamSteps[slot][${t}][c];`,
    `let a = ${resets ? 'scale(now.z, decay(now.x, A))' : 'decay(now.x, A)'}; sum += now.x;${resets ? ' keepAll *= now.z;' : ''}`,
  ];
  const input = (name: 'B' | 'C'): string => coefficient(walk, name, t, 'slot');
  if (adjoint) lines.push(`e = multiply(conjugate(a), add(e, scale(now.y, conjugate(${input('C')}))));`);
  else if (outputs)
    lines.push(`decays[${t}] = a; inputs[${t}] = scale(now.y, ${input('B')}); e = multiplyAdd(a, e, inputs[${t}]);`);
  else lines.push(`e = multiplyAdd(a, e, scale(now.y, ${input('B')}));`);
  return lines.join(' ');
}

/** The tile from zero is done: its end and decay for the others. */
function publish({ options }: Walk): string {
  return `if (member < ${options.team - 1}) { teamEnds[turn][member][lane] = e; teamDecays[turn][member][lane] = all; }`;
}

/** The true state before the tile: that before the round, then over the tiles of the predecessors. */
function takeOver({ options }: Walk): string {
  const over = each(options, 'other', options.team - 1, (other) => {
    const at = `[turn][${other}][lane]`;
    return `if (${other} < member) { h = multiplyAdd(teamDecays${at}, h, teamEnds${at}); }`;
  });
  return `if (i > 0) { h = teamState[1 - turn][lane]; }\n${over}`;
}

/** The state behind the last step. */
function close({ options, adjoint }: Walk): string {
  const name = adjoint ? 'gradInitialState' : 'lastState';
  return hasArray(options, name)
    ? `if (valid && member == ${options.team - 1}) { store_${name}(b * sizes.channels + d, k, h); }`
    : '';
}

/** Walks of one segment. */
export function teamKernel(options: KernelOptions): string {
  const { team: G, steps: T, lanes: K } = options;
  const walk = describeWalk(options);
  const { adjoint, outputs, resets, width } = walk;
  const { inner, outer } = tiled(walk);
  const round = T * G;
  const memory = [
    // implementations check indices of every dimension: those that are literals cost nothing, those of a round little
    `var<workgroup> teamSteps: array<array<array<${resets ? 'vec3f' : 'vec2f'}, ${width / K}>, ${T}>, ${2 * G}>;`,
    inner === undefined ? '' : `var<workgroup> teamInner: array<array<array<State, ${K}>, ${T}>, ${2 * G}>;`,
    outer === undefined ? '' : `var<workgroup> teamOuter: array<array<array<State, ${K}>, ${T}>, ${3 * G}>;`,
    `var<workgroup> teamEnds: array<array<array<State, ${width}>, ${G - 1}>, 2>;`,
    `var<workgroup> teamDecays: array<array<array<State, ${width}>, ${G - 1}>, 2>;`,
    `var<workgroup> teamState: array<array<State, ${width}>, 2>;`,
    'var<workgroup> members: atomic<u32>;',
  ];
  const ahead = adjoint ? `max(t0, ${round}u) - ${round}` : `t0 + ${round}`;
  // u and z are wanted once more when y is finished
  const kept = outputs
    ? variables(walk).filter(({ name }) => (name === 'u' && hasArray(options, 'D')) || name === 'z')
    : [];
  const again = (t: string): string => {
    const output = `realOfProduct(${coefficient(walk, 'C', t, 'third')}, h)`;
    return `h = multiplyAdd(decays[${t}], h, inputs[${t}]); ${leaveForSum(options, 'y', t, output)}`;
  };
  const lines = [
    ...walkHead(walk, memory),
    // which subgroup this is: WGSL does not say how invocations are shared out among subgroups
    'var joined = 0u; if (subgroupElect()) { joined = atomicAdd(&members, 1u); }',
    'let member = subgroupBroadcastFirst(joined);',
    `let rounds = (end + ${round - 1}) / ${round};`,
    ...variables(walk).map(({ name, type }) => `var next_${name}: ${type};`),
    ...kept.map(({ name, type }) => `var ${name}: ${type};`),
    outputs ? `var decays: array<State, ${T}>; var inputs: array<State, ${T}>;` : '',
    `var e = zeroState(); var sum = 0.0; var all = zeroState();${resets ? ' var keepAll = 1.0;' : ''}`,
    `let t1 = ${adjoint ? `(rounds * ${G} - 1 - member) * ${T}` : `member * ${T}`};`,
    fetch(walk, 't1', 'next_'),
    prepare(walk, 't1', 'member', 'member'),
    'workgroupBarrier();',
    'for (var i = 0u; i < rounds; i++) {',
    `let turn = i % 2; let slot = turn * ${G} + member; let nextSlot = (1 - turn) * ${G} + member; let third = i % 3 * ${G} + member; let t0 = ${adjoint ? `((rounds - i) * ${G} - 1 - member) * ${T}` : `(i * ${G} + member) * ${T}`}; let ahead = ${ahead};`,
    ...kept.map(({ name }) => `${name} = next_${name};`),
    fetch(walk, 'ahead', 'next_'),
    `e = zeroState(); sum = 0.0;${resets ? ' keepAll = 1.0;' : ''}`,
    each(options, 't', T, (t) => fromZero(walk, t), adjoint),
    `all = ${decayOfAll(walk)};`,
    publish(walk),
    prepare(walk, 'ahead', 'nextSlot', `((i + 1) % 3 * ${G} + member)`),
    'workgroupBarrier();',
    takeOver(walk),
    boundary(walk),
    ...(outputs ? [sumsVariables(options, ['y']), each(options, 't', T, again)] : ['h = multiplyAdd(all, h, e);']),
    `if (member == ${G - 1}) { teamState[turn][lane] = h; }`,
    outputs ? finish(walk) : '',
    '}',
    close(walk),
    '}',
  ];
  return lines.filter((line) => line !== '').join('\n');
}

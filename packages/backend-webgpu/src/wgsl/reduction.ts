import { type Kernel, type KernelStep, type Program, type Reduce, sizeOf } from '@mamba-ts/tensor';
import type { Pass, PassBinding } from '../pass';
import { bindBuffers, coordinates, indent } from './bindings';
import { BodyPrinter, type Lanes, oneLane } from './body';
import { registerType } from './instruction';

/**
 * How a reduction is spread: a workgroup takes `across` neighbouring outputs, each by `team` invocations; the reduced elements are cut into
 * `slices` that go to different workgroups and are joined by a second dispatch.
 */
interface Spread {
  readonly across: number;
  readonly team: number;
  readonly slices: number;
  readonly lanes: Lanes;
}

/** Workgroups that keep a large device busy. */
const enoughGroups = 512;

const powerOfTwo = (x: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, x)));

function spread(kernel: Kernel): Spread {
  const outputs = sizeOf(kernel.domain.slice(0, kernel.outerDims));
  const reduced = sizeOf(kernel.domain.slice(kernel.outerDims));
  const last = kernel.domain.length - 1;
  // Neighbouring invocations should read neighbouring elements: along the outputs, or along what is reduced?
  const unit = (dim: number): number => kernel.loads.filter((l) => dim >= 0 && l.strides[dim] === 1).length;
  const alongRows = unit(last) >= unit(kernel.outerDims - 1);
  if (reduced <= 32 && (alongRows || outputs >= enoughGroups)) return { across: 64, team: 1, slices: 1, lanes: oneLane };
  const across = alongRows ? 1 : Math.min(32, powerOfTwo(outputs));
  const perInvocation = alongRows ? 4 : 8;
  const team = Math.max(alongRows ? 32 : 1, Math.min(256 / across, powerOfTwo(reduced / perInvocation)));
  const groups = Math.ceil(outputs / across);
  const slices = groups * 2 > enoughGroups ? 1 : Math.max(1, Math.min(64, Math.floor(enoughGroups / groups), Math.floor(reduced / (team * 16))));
  const vectors = alongRows && kernel.domain[last] % 4 === 0 && reduced >= 512;
  return { across, team, slices, lanes: vectors ? { kind: 'inner', count: 4, dim: last } : oneLane };
}

/** Invocations that join slices, one output each. */
const joinSize = 64;

export function reductionPasses(step: KernelStep, program: Program): Pass[] {
  const { kernel } = step;
  const plan = spread(kernel);
  const { across, team, slices, lanes } = plan;
  const outer = kernel.domain.slice(0, kernel.outerDims);
  const outputs = sizeOf(outer);
  const reduced = sizeOf(kernel.domain.slice(kernel.outerDims)) / lanes.count;
  const blocks = Math.ceil(outputs / across);
  const { buffers, bindings } = bindBuffers(step, program, lanes);
  const loadedInBody = new Set(kernel.body.flatMap((x) => (x.op === 'load' ? [buffers[kernel.loads[x.load].buffer]?.name] : [])));
  const bodyStores = new Set(kernel.stores.filter((s) => s.phase === 'body').map((s) => buffers[s.access.buffer]?.name));
  const size = across * team;
  const scratchBytes = slices > 1 ? kernel.reduces.length * slices * outputs * 4 : 0;
  const partial: PassBinding = { name: 'partial', type: 'u32', resource: { kind: 'scratch', offset: 0, bytes: scratchBytes }, writes: true };

  const body = new BodyPrinter(kernel, buffers, lanes, (d) => `i${d}`);
  body.instructions(kernel.body, 0);
  body.stores('body');
  const accumulate = kernel.reduces.flatMap((reduce, k) =>
    Array.from({ length: lanes.count }, (_, lane) => `sum${k} = ${combine(reduce, `sum${k}`, body.value(reduce.value, lane))};`),
  );
  const chunk = Math.ceil(reduced / slices);
  const inner = kernel.domain.slice(kernel.outerDims);
  const innerSizes = inner.map((n, d) => (d === inner.length - 1 ? n / lanes.count : n));
  const lines = [
    `let x = lane % ${across}u;`,
    `let y = lane / ${across}u;`,
    slices > 1 ? `let slice = group / ${blocks}u;` : '',
    `let place = ${slices > 1 ? `(group % ${blocks}u)` : 'group'} * ${across}u + x;`,
    // Surplus invocations repeat the last output, so that all meet at the barriers.
    `let at = min(place, ${outputs - 1}u);`,
    ...coordinates(outer, 0, 'at', ''),
    ...kernel.reduces.map((r, k) => `var sum${k}: ${registerType[r.dtype]} = ${start(r)};`),
    `${slices > 1 ? `let end = min((slice + 1u) * ${chunk}u, ${reduced}u);` : ''}`,
    `for (var r = ${slices > 1 ? `slice * ${chunk}u + y` : 'y'}; r < ${slices > 1 ? 'end' : `${reduced}u`}; r += ${team}u) {`,
    ...coordinates(innerSizes, kernel.outerDims, 'r', '_r').map((l) => `  ${rename(l, kernel, lanes)}`),
    ...[...body.lines, ...accumulate].map((l) => `  ${l}`),
    '}',
    ...(team > 1 ? kernel.reduces.flatMap((r, k) => tree(r, k, across, team)) : []),
    `if (y == 0u && place < ${outputs}u) {`,
    ...(slices > 1
      ? kernel.reduces.map((_, k) => `  partial[(${k * slices}u + slice) * ${outputs}u + at] = bitcast<u32>(sum${k});`)
      : epilogue(step, buffers).map((l) => `  ${l}`)),
    '}',
  ].filter((l) => l !== '');
  const declarations = team > 1 ? kernel.reduces.map((r, k) => `var<workgroup> team${k}: array<${registerType[r.dtype]}, ${size}>;`).join('\n') : '';
  const where = team === 1 ? 'an invocation an output' : across === 1 ? `${team} invocations a row` : `${across} columns by ${team}`;
  const first: Pass = {
    label: `wgsl reduction, ${where}${slices > 1 ? `, ${slices} slices` : ''}`,
    bindings: slices > 1 ? [...bindings.filter((b) => loadedInBody.has(b.name) || bodyStores.has(b.name)), partial] : bindings,
    declarations,
    body: indent(lines),
    workgroupSize: size,
    workgroups: blocks * slices,
  };
  return slices === 1 ? [first] : [first, joinPass(step, program, partial, slices)];
}

/** Adds the slices of every output up, in order, and runs the kernel's epilogue. */
function joinPass(step: KernelStep, program: Program, partial: PassBinding, slices: number): Pass {
  const { kernel } = step;
  const outer = kernel.domain.slice(0, kernel.outerDims);
  const outputs = sizeOf(outer);
  const { buffers, bindings } = bindBuffers(step, program, oneLane);
  const text = epilogue(step, buffers);
  const used = bindings.filter((b) => text.some((line) => new RegExp(`\\b${b.name}\\b`).test(line)));
  const lines = [
    `let at = group * ${joinSize}u + lane;`,
    `if (at >= ${outputs}u) { return; }`,
    ...coordinates(outer, 0, 'at', ''),
    ...kernel.reduces.map((r, k) => `var sum${k}: ${registerType[r.dtype]} = ${start(r)};`),
    `for (var s = 0u; s < ${slices}u; s++) {`,
    ...kernel.reduces.map((r, k) => `  sum${k} = ${combine(r, `sum${k}`, `bitcast<${registerType[r.dtype]}>(partial[(${k * slices}u + s) * ${outputs}u + at])`)};`),
    '}',
    ...text,
  ];
  return {
    label: 'join slices',
    bindings: [...used, { ...partial, writes: false }],
    body: indent(lines),
    workgroupSize: joinSize,
    workgroups: Math.ceil(outputs / joinSize),
  };
}

function epilogue(step: KernelStep, buffers: ReturnType<typeof bindBuffers>['buffers']): string[] {
  const { kernel } = step;
  const printer = new BodyPrinter(kernel, buffers, oneLane, (d) => `i${d}`, { reduced: (k) => `sum${k}` }, 'e');
  printer.instructions(kernel.epilogue, kernel.body.length);
  printer.stores('epilogue');
  return printer.lines;
}

/** In the loop the indices are named as outside; with lanes the innermost one counts groups of them. */
function rename(line: string, kernel: Kernel, lanes: Lanes): string {
  const plain = line.replace(/\b(i\d+)_r\b/g, '$1');
  if (lanes.count === 1 || !plain.startsWith(`let i${kernel.domain.length - 1} `)) return plain;
  return plain.replace(/;$/, ` * ${lanes.count}i;`);
}

function start(r: Reduce): string {
  if (r.op === 'sum') return r.dtype === 'int32' ? '0i' : '0.0f';
  return r.dtype === 'int32' ? 'bitcast<i32>(0x80000000u)' : '-infinity()';
}

function combine(r: Reduce, a: string, b: string): string {
  if (r.op === 'sum') return `${a} + ${b}`;
  return r.dtype === 'int32' ? `max(${a}, ${b})` : `max_f(${a}, ${b})`;
}

/** Adds up what the invocations of a team have, in a fixed order. */
function tree(r: Reduce, k: number, across: number, team: number): string[] {
  const lines = [`team${k}[lane] = sum${k};`];
  for (let step = team / 2; step >= 1; step /= 2) {
    lines.push('workgroupBarrier();', `if (y < ${step}u) { team${k}[lane] = ${combine(r, `team${k}[lane]`, `team${k}[lane + ${step * across}u]`)}; }`);
  }
  return [...lines, 'workgroupBarrier();', `sum${k} = team${k}[x];`];
}

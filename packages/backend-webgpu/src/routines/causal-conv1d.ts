import type { Pass } from '../pass';
import { align256, inputSpec, type StepMemory, type WebGpuRoutine } from '../routine';

const workgroupSize = 64;

interface Sizes {
  readonly batch: number;
  readonly length: number;
  readonly channels: number;
  readonly width: number;
}

function sizes(x: readonly number[], weight: readonly number[]): Sizes {
  return { batch: x[0], length: x[1], channels: x[2], width: weight[1] };
}

/** The taps that y_t sees, newest first: \`visit\` prints what to do with weight column j and the value `old` (a name). */
function taps({ length, channels, width }: Sizes, initial: boolean, resets: boolean, visit: (j: string) => string): string {
  const older = initial
    ? `else { old = initial[(b * ${width - 1}u + u32(step + ${width - 1}i)) * ${channels}u + c]; }`
    : 'else { break; }';
  return `  for (var d = 0u; d < ${width}u; d++) {
    let step = i32(t) - i32(d);
${resets ? `    if (d > 0u && step + 1i >= 0i && resets[b * ${length}u + u32(step + 1i)] != 0i) { break; }\n` : ''}    var old = 0.0f;
    if (step >= 0i) { old = x[(b * ${length}u + u32(step)) * ${channels}u + c]; }
    ${older}
    ${visit(`(${width - 1}u - d)`)}
  }`;
}

/** An invocation per element of y. */
export const causalConv1d: WebGpuRoutine = {
  passes(call, memory) {
    const s = sizes(inputSpec(call, 0).shape, inputSpec(call, 1).shape);
    const total = s.batch * s.length * s.channels;
    if (total === 0) return [];
    const [bias, initial, resets] = [memory.has(2), memory.has(3) && s.width > 1, memory.has(4)];
    return [
      {
        label: 'wgsl causal conv',
        bindings: [
          memory.input(0, 'x', 'f32'), memory.input(1, 'weight', 'f32'), ...(bias ? [memory.input(2, 'bias', 'f32')] : []),
          ...(initial ? [memory.input(3, 'initial', 'f32')] : []), ...(resets ? [memory.input(4, 'resets', 'i32')] : []), memory.output(0, 'y', 'f32'),
        ],
        body: `  let at = group * ${workgroupSize}u + lane;
  if (at >= ${total}u) { return; }
  let c = at % ${s.channels}u;
  let t = (at / ${s.channels}u) % ${s.length}u;
  let b = at / ${s.channels * s.length}u;
  var sum = ${bias ? 'bias[c]' : '0.0f'};
${taps(s, initial, resets, (j) => `sum += weight[c * ${s.width}u + ${j}] * old;`)}
  y[at] = sum;`,
        workgroupSize,
        workgroups: Math.ceil(total / workgroupSize),
      },
    ];
  },
};

/** Channels and time slices that a workgroup sums the weight's gradient over. */
const across = 32;
const team = 8;

/** Pieces that the sum over all rows is cut into for different workgroups. */
function slices({ batch, length, channels }: Sizes): number {
  const blocks = Math.ceil(channels / across);
  return Math.max(1, Math.min(64, Math.ceil(256 / blocks), Math.floor((batch * length) / (team * 8))));
}

function partialBytes(s: Sizes): number {
  return slices(s) * (s.width + 1) * s.channels * 4;
}

/** gradX and gradInitial element by element; gradWeight and gradBias as sums of slices, joined in order. */
export const causalConv1dBackward: WebGpuRoutine = {
  scratchBytes: (call) => align256(partialBytes(sizes(inputSpec(call, 1).shape, inputSpec(call, 2).shape))),
  passes(call, memory) {
    const s = sizes(inputSpec(call, 1).shape, inputSpec(call, 2).shape);
    const passes: Pass[] = [];
    if (s.batch * s.length * s.channels > 0) passes.push(gradInput(s, memory, 0, s.length));
    if (s.batch * s.channels * (s.width - 1) > 0) passes.push(memory.has(3) && s.length > 0 ? gradInput(s, memory, -(s.width - 1), 0) : zeros(s, memory));
    if (s.channels > 0) passes.push(gradWeight(s, memory), joinWeight(s, memory));
    return passes;
  },
};

/** Gradient of the values at steps [first, end): of x, or, at negative steps, of what came before. */
function gradInput(s: Sizes, memory: StepMemory, first: number, end: number): Pass {
  const { batch, length, channels, width } = s;
  const steps = end - first;
  const total = batch * steps * channels;
  const resets = memory.has(4);
  return {
    label: first < 0 ? 'wgsl causal conv, gradient of initial' : 'wgsl causal conv, gradient of x',
    bindings: [
      memory.input(0, 'gradY', 'f32'), memory.input(2, 'weight', 'f32'), ...(resets ? [memory.input(4, 'resets', 'i32')] : []),
      first < 0 ? memory.output(3, 'grad', 'f32') : memory.output(0, 'grad', 'f32'),
    ],
    body: `  let at = group * ${workgroupSize}u + lane;
  if (at >= ${total}u) { return; }
  let c = at % ${channels}u;
  let step = i32((at / ${channels}u) % ${steps}u) + ${first}i;
  let b = at / ${channels * steps}u;
  var sum = 0.0f;
  for (var d = 0i; d < ${width}i; d++) {
    let t = step + d;
    if (t >= ${length}i) { break; }
    if (t < 0i) { continue; }
${resets ? `    if (d > 0i && resets[b * ${length}u + u32(t)] != 0i) { break; }\n` : ''}    sum += gradY[(b * ${length}u + u32(t)) * ${channels}u + c] * weight[c * ${width}u + u32(${width - 1}i - d)];
  }
  grad[at] = sum;`,
    workgroupSize,
    workgroups: Math.ceil(total / workgroupSize),
  };
}

function zeros({ batch, channels, width }: Sizes, memory: StepMemory): Pass {
  const total = batch * channels * (width - 1);
  return {
    label: 'wgsl zeros',
    bindings: [memory.output(3, 'grad', 'f32')],
    body: `  let at = group * ${workgroupSize}u + lane;\n  if (at < ${total}u) { grad[at] = 0.0; }`,
    workgroupSize,
    workgroups: Math.ceil(total / workgroupSize),
  };
}

function gradWeight(s: Sizes, memory: StepMemory): Pass {
  const { batch, length, channels, width } = s;
  const rows = batch * length;
  const count = slices(s);
  const chunk = Math.ceil(rows / count);
  const blocks = Math.ceil(channels / across);
  const initial = memory.has(3) && width > 1;
  const resets = memory.has(4);
  return {
    label: 'wgsl causal conv, sums for the gradient of weight',
    bindings: [
      memory.input(0, 'gradY', 'f32'), memory.input(1, 'x', 'f32'), ...(initial ? [memory.input(3, 'initial', 'f32')] : []),
      ...(resets ? [memory.input(4, 'resets', 'i32')] : []), memory.scratch('partial', 'f32', 0, partialBytes(s), true),
    ].slice(rows === 0 ? -1 : 0),
    declarations: `var<workgroup> part: array<f32, ${across * team}>;`,
    body: `  let slice = group / ${blocks}u;
  let place = (group % ${blocks}u) * ${across}u + lane % ${across}u;
  let c = min(place, ${channels - 1}u);
  let y = lane / ${across}u;
  var sums: array<f32, ${width + 1}>;
${rows === 0 ? '' : `  let end = min((slice + 1u) * ${chunk}u, ${rows}u);
  for (var r = slice * ${chunk}u + y; r < end; r += ${team}u) {
    let b = r / ${length}u;
    let t = r % ${length}u;
    let g = gradY[r * ${channels}u + c];
    sums[${width}] += g;
  ${taps(s, initial, resets, (j) => `sums[${j}] += g * old;`)}
  }
`}  for (var k = 0u; k < ${width + 1}u; k++) {
    part[lane] = sums[k];
${[4, 2, 1].map((half) => `    workgroupBarrier();\n    if (y < ${half}u) { part[lane] += part[lane + ${half * across}u]; }`).join('\n')}
    if (y == 0u && place < ${channels}u) { partial[(slice * ${width + 1}u + k) * ${channels}u + c] = part[lane]; }
    workgroupBarrier();
  }`,
    workgroupSize: across * team,
    workgroups: blocks * count,
  };
}

function joinWeight(s: Sizes, memory: StepMemory): Pass {
  const { channels, width } = s;
  const total = channels * (width + 1);
  return {
    label: 'join slices',
    bindings: [memory.scratch('partial', 'f32', 0, partialBytes(s), false), memory.output(1, 'gradWeight', 'f32'), memory.output(2, 'gradBias', 'f32')],
    body: `  let at = group * ${workgroupSize}u + lane;
  if (at >= ${total}u) { return; }
  let k = at / ${channels}u;
  let c = at % ${channels}u;
  var sum = 0.0f;
  for (var s = 0u; s < ${slices(s)}u; s++) { sum += partial[s * ${total}u + at]; }
  if (k < ${width}u) { gradWeight[c * ${width}u + k] = sum; } else { gradBias[c] = sum; }`,
    workgroupSize,
    workgroups: Math.ceil(total / workgroupSize),
  };
}

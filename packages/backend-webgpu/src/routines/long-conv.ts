import type { Pass } from '../pass';
import { inputSpec, type StepMemory, type WebGpuRoutine } from '../routine';

const workgroupSize = 64;

/** Term by term: an invocation per element of the result, neighbours along the channels. */
function direct(total: number, label: string, bindings: Pass['bindings'], body: string): Pass[] {
  if (total === 0) return [];
  return [
    {
      label,
      bindings,
      body: `  let at = group * ${workgroupSize}u + lane;\n  if (at >= ${total}u) { return; }\n${body}`,
      workgroupSize,
      workgroups: Math.ceil(total / workgroupSize),
    },
  ];
}

/** y_t = Σ_j kernel_j u_{t-j}, or with time running backwards u_{t+j}. */
function convolution(shape: readonly number[], taps: number, backwards: boolean, memory: StepMemory): Pass[] {
  const [batch, length, channels] = shape;
  const count = backwards ? `min(${taps}u, ${length}u - t)` : `min(${taps}u, t + 1u)`;
  if (taps === 0) {
    return direct(batch * length * channels, 'wgsl zeros', [memory.output(0, 'y', 'f32')], '  y[at] = 0.0;');
  }
  return direct(batch * length * channels, 'wgsl long conv, term by term', [memory.input(0, 'u', 'f32'), memory.input(1, 'taps', 'f32'), memory.output(0, 'y', 'f32')], `  let c = at % ${channels}u;
  let t = (at / ${channels}u) % ${length}u;
  var sum = 0.0f;
  let count = ${count};
  for (var j = 0u; j < count; j++) { sum += taps[j * ${channels}u + c] * u[at ${backwards ? '+' : '-'} j * ${channels}u]; }
  y[at] = sum;`);
}

export const longConv: WebGpuRoutine = {
  passes: (call, memory) => convolution(inputSpec(call, 0).shape, inputSpec(call, 1).shape[0], false, memory),
};

export const longConvGradInput: WebGpuRoutine = {
  passes: (call, memory) => convolution(inputSpec(call, 0).shape, inputSpec(call, 1).shape[0], true, memory),
};

export const longConvGradKernel: WebGpuRoutine = {
  passes(call, memory) {
    const [batch, length, channels] = inputSpec(call, 0).shape;
    const [taps] = call.outputs[0].shape;
    if (batch * length === 0) return direct(taps * channels, 'wgsl zeros', [memory.output(0, 'out', 'f32')], '  out[at] = 0.0;');
    return direct(taps * channels, 'wgsl long conv, gradient of the kernel, term by term', [memory.input(0, 'gradY', 'f32'), memory.input(1, 'u', 'f32'), memory.output(0, 'out', 'f32')], `  let c = at % ${channels}u;
  let j = at / ${channels}u;
  var sum = 0.0f;
  for (var b = 0u; b < ${batch}u; b++) {
    for (var t = j; t < ${length}u; t++) {
      let here = (b * ${length}u + t) * ${channels}u + c;
      sum += gradY[here] * u[here - j * ${channels}u];
    }
  }
  out[at] = sum;`);
  },
};

import type { RoutineCall } from '@mamba-ts/tensor';
import type { Pass } from '../pass';
import { align256, type Capabilities, inputSpec, type StepMemory, type WebGpuRoutine } from '../routine';
import { forwardPass, inversePass, spectraBytes, transformBytes, transformOf } from './long-conv/transform';

const workgroupSize = 64;

/** Term by term, through transforms, or whichever is the shorter way. Tests ask for one. */
export type Way = 'terms' | 'transforms' | 'shorter';

interface Plan {
  readonly batch: number;
  readonly length: number;
  readonly channels: number;
  /** Taps that can matter, at most `length`. */
  readonly taps: number;
  readonly allTaps: number;
  /** The transform has 2^bits elements; 0: term by term. */
  readonly bits: number;
}

/** Products of length and taps from which transforms are shorter. */
const longFrom = 256 * 256;

function planOf([batch, length, channels]: readonly number[], allTaps: number, { workgroupBytes, software }: Capabilities, way: Way): Plan {
  const taps = Math.min(allTaps, length);
  const bits = Math.ceil(Math.log2(Math.max(4, length + taps - 1)));
  const possible = transformBytes(bits) <= workgroupBytes && batch * taps * channels > 0;
  const wanted = way === 'transforms' || (way === 'shorter' && !software && length * taps >= longFrom);
  return { batch, length, channels, taps, allTaps, bits: possible && wanted ? bits : 0 };
}

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
function convolution(p: Plan, backwards: boolean, memory: StepMemory): Pass[] {
  const { batch, length, channels, taps } = p;
  const total = batch * length * channels;
  if (taps === 0) return direct(total, 'wgsl zeros', [memory.output(0, 'y', 'f32')], '  y[at] = 0.0;');
  if (p.bits > 0) return transformed(p, memory, { rows: batch, taps: [1, p.allTaps, taps], out: length, used: length, summed: 1, correlate: backwards, shared: true });
  const count = backwards ? `min(${taps}u, ${length}u - t)` : `min(${taps}u, t + 1u)`;
  return direct(total, 'wgsl long conv, term by term', [memory.input(0, 'u', 'f32'), memory.input(1, 'taps', 'f32'), memory.output(0, 'y', 'f32')], `  let c = at % ${channels}u;
  let t = (at / ${channels}u) % ${length}u;
  var sum = 0.0f;
  let count = ${count};
  for (var j = 0u; j < count; j++) { sum += taps[j * ${channels}u + c] * u[at ${backwards ? '+' : '-'} j * ${channels}u]; }
  y[at] = sum;`);
}

function kernelGradient(p: Plan, memory: StepMemory): Pass[] {
  const { batch, length, channels, taps, allTaps } = p;
  if (batch * length === 0) return direct(allTaps * channels, 'wgsl zeros', [memory.output(0, 'out', 'f32')], '  out[at] = 0.0;');
  if (p.bits > 0) return transformed(p, memory, { rows: 1, taps: [batch, length, length], out: allTaps, used: taps, summed: batch, correlate: true, shared: false });
  return direct(allTaps * channels, 'wgsl long conv, gradient of the kernel, term by term', [memory.input(0, 'gradY', 'f32'), memory.input(1, 'u', 'f32'), memory.output(0, 'out', 'f32')], `  let c = at % ${channels}u;
  let j = at / ${channels}u;
  var sum = 0.0f;
  for (var b = 0u; b < ${batch}u; b++) {
    for (var t = j; t < ${length}u; t++) {
      let here = (b * ${length}u + t) * ${channels}u + c;
      sum += gradY[here] * u[here - j * ${channels}u];
    }
  }
  out[at] = sum;`);
}

/** What distinguishes the three routines: rows of the result, and the second signal as [rows, length, elements that count]. */
interface Transformed {
  readonly rows: number;
  readonly taps: readonly [number, number, number];
  readonly out: number;
  readonly used: number;
  readonly summed: number;
  readonly correlate: boolean;
  readonly shared: boolean;
}

/** Spectra of both signals, then their products back in time. */
function transformed({ batch, length, channels, bits }: Plan, memory: StepMemory, { rows, taps, out, used, summed, correlate, shared }: Transformed): Pass[] {
  const t = transformOf(bits);
  const bytes = spectraBytes(t, batch, channels);
  const first = (writes: boolean): Pass['bindings'][number] => memory.scratch('first', 'vec2<f32>', 0, bytes, writes);
  const second = (writes: boolean): Pass['bindings'][number] => memory.scratch('second', 'vec2<f32>', align256(bytes), spectraBytes(t, taps[0], channels), writes);
  return [
    forwardPass(t, batch, length, length, channels, memory.input(0, 'signal', 'f32'), first(true)),
    forwardPass(t, taps[0], taps[1], taps[2], channels, memory.input(1, 'signal', 'f32'), second(true)),
    inversePass(t, { rows, length: out, used, channels, summed, correlate, shared }, first(false), second(false), memory.output(0, 'out', 'f32')),
  ];
}

/** The three routines going one way. */
export function longConvBy(way: Way): Record<'longConv' | 'longConvGradInput' | 'longConvGradKernel', WebGpuRoutine> {
  const routine = (plan: (call: RoutineCall, capabilities: Capabilities) => Plan, rows: (p: Plan) => number, passes: (p: Plan, memory: StepMemory) => Pass[]): WebGpuRoutine => ({
    scratchBytes(call, capabilities) {
      const p = plan(call, capabilities);
      if (p.bits === 0) return 0;
      const t = transformOf(p.bits);
      return align256(spectraBytes(t, p.batch, p.channels)) + align256(spectraBytes(t, rows(p), p.channels));
    },
    passes: (call, memory, capabilities) => passes(plan(call, capabilities), memory),
  });
  const convolutionPlan = (call: RoutineCall, c: Capabilities): Plan => planOf(inputSpec(call, 0).shape, inputSpec(call, 1).shape[0], c, way);
  const kernelPlan = (call: RoutineCall, c: Capabilities): Plan => planOf(inputSpec(call, 0).shape, call.outputs[0].shape[0], c, way);
  return {
    longConv: routine(convolutionPlan, () => 1, (p, memory) => convolution(p, false, memory)),
    // The same with time running backwards.
    longConvGradInput: routine(convolutionPlan, () => 1, (p, memory) => convolution(p, true, memory)),
    longConvGradKernel: routine(kernelPlan, (p) => p.batch, kernelGradient),
  };
}

const shorter = longConvBy('shorter');
export const longConv: WebGpuRoutine = shorter.longConv;
export const longConvGradInput: WebGpuRoutine = shorter.longConvGradInput;
export const longConvGradKernel: WebGpuRoutine = shorter.longConvGradKernel;

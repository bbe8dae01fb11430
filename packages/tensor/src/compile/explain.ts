import type { Executable } from '../backend';
import type { Device } from '../device';
import { byteSize } from '../dtype';
import { sizeOf } from '../shape';
import { type Access, type Kernel, touchedBytes } from './kernel';
import type { Program, Step, TensorSpec } from './program';

/** One step of a program, for people. */
export interface StepReport {
  readonly what: string;
  readonly shape: string;
  /** Bytes that it reads and writes at least: what it touches of each buffer, once. */
  readonly bytes: number;
  /** What the backend made of it. */
  readonly code: string;
  /** What it took when `profile` measured it, in nanoseconds. */
  readonly nanoseconds?: number;
}

export interface ProgramReport {
  readonly signature: string;
  readonly device: string;
  readonly kernels: number;
  readonly routines: number;
  /** Bytes that all steps together read and write. */
  readonly bytes: number;
  /** Planned memory of the temporaries, and what they would take without sharing. */
  readonly arenaBytes: number;
  readonly temporaryBytes: number;
  /** Bytes of everything the program touches, temporaries included: what it needs at its peak. */
  readonly peakBytes: number;
  /** Sum over the steps, where `profile` measured them. */
  readonly nanoseconds?: number;
  readonly steps: readonly StepReport[];
  /** The report as a table. */
  toString(): string;
}

export function describeProgram(signature: string, program: Program, executable: Executable, device: Device, times: readonly number[] | null): ProgramReport {
  const code = executable.describe();
  const steps = program.steps.map((step, i) => ({ ...describeStep(step, program), code: code[i].code, ...(times ? { nanoseconds: times[i] } : {}) }));
  const kernels = program.steps.filter((s) => s.kind === 'kernel').length;
  const report = {
    signature,
    device: `${device.name} (${device.backend.description})`,
    kernels,
    routines: steps.length - kernels,
    bytes: steps.reduce((n, s) => n + s.bytes, 0),
    arenaBytes: program.arenaBytes,
    temporaryBytes: program.slots.filter((s) => s.kind === 'arena').reduce((n, s) => n + s.bytes, 0),
    peakBytes: program.arenaBytes + program.slots.filter((s) => s.kind === 'external').reduce((n, s) => n + s.bytes, 0),
    ...(times ? { nanoseconds: times.reduce((a, b) => a + b, 0) } : {}),
    steps,
  };
  return { ...report, toString: () => formatReport(report) };
}

function describeStep(step: Step, program: Program): Omit<StepReport, 'code'> {
  if (step.kind === 'kernel') {
    return { what: step.label.join(' ') || 'copy', shape: kernelShape(step.kernel), bytes: movedBytes(step.kernel, step.buffers, program) };
  }
  const shapes = step.call.inputs.filter((x) => x !== null).map((x) => `(${x.shape.join(', ')})`);
  return {
    what: step.epilogue ? `${step.call.name} + ${step.epilogue.label.join(' ')}` : step.call.name,
    shape: `${shapes.join(' ')} → ${step.call.outputs.map((x) => `(${x.shape.join(', ')})`).join(' ')}`,
    bytes: routineBytes(step, program),
  };
}

/** Bytes that a kernel moves at least: of each buffer what its loads touch, and what its stores do. */
function movedBytes(kernel: Kernel, buffers: readonly (number | null)[], { slots }: Program): number {
  const most = (accesses: readonly Access[]): number => {
    const touched = new Map<number, number>();
    for (const access of accesses) {
      const slot = buffers[access.buffer];
      if (slot === null) continue;
      touched.set(slot, Math.min(slots[slot].bytes, (touched.get(slot) ?? 0) + touchedBytes(access, kernel.domain)));
    }
    return [...touched.values()].reduce((a, b) => a + b, 0);
  };
  return most(kernel.loads) + most(kernel.stores.map((s) => s.access));
}

/** Bytes that a routine moves at least: what it reads and what it leaves once, of a table the rows that are asked for. */
function routineBytes({ call, epilogue }: Extract<Step, { kind: 'routine' }>, program: Program): number {
  const bytes = (spec: TensorSpec): number => byteSize(spec.dtype) * sizeOf(spec.shape);
  const inputs = call.inputs.filter((x) => x !== null).map((x) => bytes(x));
  if (call.name === 'gather') inputs[0] = Math.min(inputs[0], bytes({ ...(call.inputs[0] as TensorSpec), shape: call.outputs[0].shape }));
  const outputs = call.outputs.slice(epilogue ? 1 : 0).map((x) => bytes(x));
  return [...inputs, ...outputs].reduce((a, b) => a + b, epilogue ? movedBytes(epilogue.kernel, epilogue.buffers, program) : 0);
}

function kernelShape(kernel: Kernel): string {
  const outer = `(${kernel.domain.slice(0, kernel.outerDims).join(', ')})`;
  return kernel.reduces.length === 0 ? outer : `(${kernel.domain.join(', ')}) → ${outer}`;
}

function formatReport(r: Omit<ProgramReport, 'toString'>): string {
  const width = Math.min(60, Math.max(4, ...r.steps.map((s) => s.what.length)));
  const clip = (s: string, n: number): string => (s.length <= n ? s.padEnd(n) : `${s.slice(0, n - 1)}…`);
  const lines = r.steps.map((s, i) => `${String(i).padStart(4)}  ${clip(s.what, width)}  ${formatBytes(s.bytes).padStart(9)}${formatTime(s)}  ${s.shape}  [${s.code}]`);
  const measured = r.nanoseconds === undefined ? [] : [`${(r.nanoseconds / 1e3).toFixed(1)} µs in all, each step timed by itself`];
  return [
    `${r.signature || 'no arguments'} on ${r.device}`,
    `${r.kernels} kernels, ${r.routines} routines, ${formatBytes(r.bytes)} moved, temporaries ${formatBytes(r.arenaBytes)} (${formatBytes(r.temporaryBytes)} without sharing), peak ${formatBytes(r.peakBytes)}`,
    ...measured,
    ...lines,
  ].join('\n');
}

/** Time and rate of a measured step. */
function formatTime({ nanoseconds, bytes }: StepReport): string {
  if (nanoseconds === undefined) return '';
  const rate = nanoseconds > 0 ? bytes / nanoseconds : 0;
  return `  ${(nanoseconds / 1e3).toFixed(1).padStart(8)} µs  ${rate.toFixed(1).padStart(6)} GB/s`;
}

function formatBytes(n: number): string {
  if (n < 1024) return `${n} B`;
  return n < 1024 ** 2 ? `${(n / 1024).toFixed(1)} KiB` : `${(n / 1024 ** 2).toFixed(1)} MiB`;
}

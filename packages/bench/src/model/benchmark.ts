import { fromMambaConfig, LanguageModel, type LanguageModelConfig, mambaModels } from '@mamba-ts/models';
import { type CompiledStep, type Device, nodesCreated, type ProgramReport, RandomGenerator, type StepResult } from '@mamba-ts/tensor';
import type { Timing } from '../measure';
import { summarize } from '../measure';
import type { Measurement } from '../results';

/** What a measurement hands back: its figures, and what ran. */
export interface ModelResult {
  readonly measurement: Measurement;
  readonly report: ProgramReport;
}

/** The last calls of a step before it is disposed: what ran, with times where the device has them and they are wanted. */
export async function reportOf(device: Device, step: Pick<CompiledStep<[], StepResult>, 'explain' | 'profile'>, { profile }: RunOptions): Promise<ProgramReport> {
  await device.synchronize();
  return profile ? step.profile() : step.explain()[0];
}

/** One figure of `bench model`: a model of random weights on one device. */
export interface ModelBenchmark {
  readonly name: string;
  /** GiB of device memory that it takes at most. */
  readonly memoryGiB: number;
  /** Floating-point operations, in 10^12: slow devices leave the large ones out. */
  readonly teraflop: number;
  readonly run: (device: Device, options: RunOptions) => Promise<ModelResult>;
}

export interface RunOptions {
  /** Milliseconds of measuring. */
  readonly budget: number;
  /** Measure every step of the program by itself too. */
  readonly profile: boolean;
}

/** A model with random weights, drawn on the device. */
export function randomModel(config: LanguageModelConfig): LanguageModel {
  const random = new RandomGenerator(0);
  const model = new LanguageModel(config, random);
  random.dispose();
  return model;
}

/** Config of a released model. */
export function released(name: 'mamba-130m' | 'mamba-1.4b'): LanguageModelConfig {
  return fromMambaConfig(mambaModels[name]);
}

/**
 * Times a replayed step: `perSample` calls in a row and one wait, since the host only queues. Fails if a replay allocates device memory or traces.
 */
export async function measureQueued(device: Device, step: () => void, { budget }: Pick<RunOptions, 'budget'>): Promise<Timing> {
  for (let i = 0; i < 3; i++) step();
  await device.synchronize();
  const before = { nodes: nodesCreated(), allocations: device.memory().allocations };
  const calls = async (count: number): Promise<number> => {
    const start = performance.now();
    for (let i = 0; i < count; i++) step();
    await device.synchronize();
    return (performance.now() - start) / count;
  };
  const perSample = Math.max(1, Math.min(200, Math.round(budget / 12 / (await calls(2)))));
  const times: number[] = [];
  const start = performance.now();
  while (times.length < 7 || (performance.now() - start < budget && times.length < 50)) times.push(await calls(perSample));
  const nodes = nodesCreated() - before.nodes;
  const allocations = device.memory().allocations - before.allocations;
  if (nodes + allocations > 0) throw new Error(`bench model: replays made ${nodes} graph nodes and ${allocations} allocations, expected none`);
  return summarize(times);
}

/** Facts of a program that belong to its figure. */
export function programNote(report: ProgramReport, official: string): string {
  return `official ${official}; ${report.kernels} kernels, ${report.routines} routines, arena ${(report.arenaBytes / 2 ** 20).toFixed(0)} MiB`;
}

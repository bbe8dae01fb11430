import { join } from 'node:path';
import { type Family, notYetCovered, type Result, unusable } from '../family';
import { caseNames, readJsonObject } from '../fixture-case';
import { checkerOf } from '../golden/checkers';
import { GoldenCase } from '../golden/golden-case';
import { onDevices, type ParityDevice } from '../parity-device';

/** Closed-form and brute-force derivations in float64: `NAME.json` with `cases`, each of inputs and outputs. */
export const goldenFamily: Family = {
  name: 'golden',
  async *check(folder: string): AsyncIterable<Result> {
    yield* onDevices((devices) => checkFiles(folder, devices));
  },
};

async function* checkFiles(folder: string, devices: readonly ParityDevice[]): AsyncIterable<Result> {
  for (const file of await caseNames(folder, '.json')) {
    const { cases } = await readJsonObject(join(folder, `${file}.json`));
    if (!isObject(cases)) {
      yield unusable(file, 'expected an object "cases"');
      continue;
    }
    for (const [name, entry] of Object.entries(cases)) yield* checkCase(name, entry, devices);
  }
}

function* checkCase(name: string, entry: unknown, devices: readonly ParityDevice[]): Iterable<Result> {
  const checker = checkerOf(name);
  if (checker === undefined) {
    yield unusable(name, 'no checker knows a golden case of this name');
    return;
  }
  const { inputs, outputs } = isObject(entry) ? entry : {};
  if (!isObject(inputs) || !isObject(outputs)) {
    yield unusable(name, 'expected objects "inputs" and "outputs"');
    return;
  }
  if (checker.check === undefined) {
    yield notYetCovered(name);
    return;
  }
  const golden = new GoldenCase(name, inputs, outputs);
  try {
    yield* checker.check(golden, devices);
  } catch (error) {
    yield unusable(name, (error as Error).message);
    return;
  }
  for (const output of golden.leftOver()) yield notYetCovered(`${name}: ${output}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

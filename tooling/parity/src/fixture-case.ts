import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { readSafetensors, type SafetensorsTensor, toFloat64 } from '@mamba-ts/nn/safetensors';

/** A tensor as float64; complex ones have a last axis of 2. */
export interface Values {
  readonly data: Float64Array;
  readonly shape: readonly number[];
  readonly complex: boolean;
}

/** One fixture: `NAME.safetensors` and its settings, `NAME.json`. Remembers what was looked at. */
export class FixtureCase {
  private readonly unread: Set<string>;

  constructor(
    readonly name: string,
    readonly settings: Readonly<Record<string, unknown>>,
    private readonly tensors: ReadonlyMap<string, SafetensorsTensor>,
  ) {
    this.unread = new Set(tensors.keys());
  }

  /** Tensor `name`, real, or complex where it is stored as `name.ri`. */
  find(name: string): Values | undefined {
    for (const [stored, complex] of [
      [name, false],
      [`${name}.ri`, true],
    ] as const) {
      const tensor = this.tensors.get(stored);
      if (tensor !== undefined) {
        this.unread.delete(stored);
        return { data: toFloat64(tensor), shape: tensor.shape, complex };
      }
    }
    return undefined;
  }

  get(name: string): Values {
    const values = this.find(name);
    if (values === undefined) throw new Error(`the fixture has no tensor ${name}`);
    return values;
  }

  /** Names that start with `prefix`, without it, and without a complex tensor's ending. */
  namesUnder(prefix: string): string[] {
    return [...this.tensors.keys()]
      .filter((name) => name.startsWith(prefix))
      .map((name) => name.slice(prefix.length).replace(/\.ri$/, ''));
  }

  /** Tensors that nothing has asked for: a check that leaves any is incomplete. */
  leftOver(): string[] {
    return [...this.unread];
  }
}

/** Names of the cases in a folder: files that end in `ending`, without it, in order. */
export async function caseNames(folder: string, ending: string): Promise<string[]> {
  const files = await readdir(folder);
  return files
    .filter((file) => file.endsWith(ending))
    .map((file) => basename(file, ending))
    .toSorted();
}

/** @throws when one of the two files is missing or malformed. */
export async function readCase(folder: string, name: string): Promise<FixtureCase> {
  const { tensors } = readSafetensors(new Uint8Array(await readFile(join(folder, `${name}.safetensors`))));
  return new FixtureCase(name, await readJsonObject(join(folder, `${name}.json`)), tensors);
}

export async function readJsonObject(path: string): Promise<Record<string, unknown>> {
  const value: unknown = JSON.parse(await readFile(path, 'utf8'));
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError(`${basename(path)} holds no JSON object`);
  }
  return value as Record<string, unknown>;
}

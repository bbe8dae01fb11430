import { RandomGenerator, realize, scope, type Tensor, tensor } from '@mamba-ts/tensor';
import { fixedValues } from './fixed-values';

/** Runs `body` with a generator; frees what it makes, modules included. */
export async function temporarily<T extends readonly Tensor[]>(
  body: (random: RandomGenerator) => T,
): Promise<ArrayLike<number>[]> {
  const results = scope(() => {
    const made = body(new RandomGenerator(7));
    realize(...made);
    return made;
  });
  const read = [];
  for (const t of results) {
    read.push(await t.data());
    t.dispose();
  }
  return read;
}

/** Fixed values as a tensor. */
export const floats = (shape: readonly number[], seed: number): Tensor =>
  tensor(
    fixedValues(
      shape.reduce((n, d) => n * d, 1),
      seed,
    ),
    { shape },
  );

import { TorchFileError } from '@mamba-ts/nn/torch';
import { expect, it } from 'vitest';
import { counting, seededRandom } from './safetensors-files';
import { file, opened, pickle, written } from './torch-files';

/** Reads everything; what is wrong must be an error of the reader's own. @returns whether all was read */
async function readsOrRefuses(bytes: Uint8Array): Promise<boolean> {
  try {
    const reader = await opened(bytes, { maxExpandedBytes: 2 ** 16 });
    for (const name of reader.entries.keys()) await reader.read(name);
    return true;
  } catch (error) {
    if (!(error instanceof TorchFileError)) throw error;
    return false;
  }
}

it('changed bytes are read or refused with a typed error, never anything else', async () => {
  const storage = pickle.storage('FloatStorage', '0', 12);
  const bytes = new Uint8Array(48);
  const seeds = [
    await written(
      new Map([
        ['a', counting('F32', [3, 4], 4)],
        ['b.c', counting('BF16', [2], 2)],
      ]),
    ),
    file(pickle.of({ x: pickle.tensor(storage, 0, [4, 3], [1, 4]), y: pickle.tensor(storage, 1, [3], [4]) }), {
      0: bytes,
    }),
  ];
  const random = seededRandom(1);
  const below = (n: number): number => Math.floor(random() * n);
  let refused = 0;
  const rounds = 4000;
  for (let round = 0; round < rounds; round++) {
    let changed = Uint8Array.from(seeds[round % seeds.length]!);
    for (let edits = 1 + below(3); edits > 0; edits--) {
      const at = below(changed.length);
      const kind = below(4);
      if (kind === 0) changed[at] = below(256);
      else if (kind === 1) changed[at]! ^= 1 << below(8);
      else if (kind === 2) changed = Uint8Array.from([...changed.subarray(0, at), ...changed.subarray(at + below(9))]);
      else changed = Uint8Array.from([...changed.subarray(0, at), below(256), ...changed.subarray(at)]);
    }
    if (!(await readsOrRefuses(changed))) refused++;
  }
  expect(refused).toBeGreaterThan(rounds / 4);
  expect(refused).toBeLessThan(rounds);
});

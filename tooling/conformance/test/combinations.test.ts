import { RandomGenerator, reference } from '@mamba-ts/tensor';
import { expect, it } from 'vitest';
import { combinations } from '../src/layers';

it('every kind of block and layer is in the program, and can be made', async () => {
  const all = combinations();
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  const device = await reference();
  const random = new RandomGenerator(1, device);
  for (const { make } of all) make(random).dispose();
  random.dispose();
  expect(device.memory()).toMatchObject({ buffers: 0, bytes: 0 });
  device.dispose();
});

import { expect, it } from 'vitest';
import { compile, concat, tensor, variable } from '@mamba-ts/tensor';
import { SimulatedBackend } from './simulated-backend';

it('windows of all layers shift in place, in one launch without copies', async () => {
  const device = await SimulatedBackend.open();
  const make = (shape: readonly number[]): ReturnType<typeof variable> =>
    variable(tensor(Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i), { shape, device }));
  const windows = [1, 2, 3].map(() => make([2, 3, 8]));
  const sample = make([2, 8]);
  const step = compile(() => {
    for (const window of windows) window.assign(concat([window.slice(1, 1), sample.mul(2).unsqueeze(1)], 1));
    return sample.sum();
  });
  step();
  const text = step.explain()[0].toString();
  expect(text).not.toContain('copy');
  const values = [...(await windows[2].data())];
  expect(values.slice(0, 24)).toEqual([...Array.from({ length: 16 }, (_, i) => i + 8), ...Array.from({ length: 8 }, (_, i) => 2 * i)]);
  device.dispose();
});

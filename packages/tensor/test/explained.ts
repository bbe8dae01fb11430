import { expect } from 'vitest';
import { fusingReference, randomSource, randomValues, relativeError } from '@mamba-ts/tensor/conformance';
import { compile, type Device, reference, type Tensor, tensor } from '@mamba-ts/tensor';

/** Tensors of the given shapes to results. */
export type Step = (args: readonly Tensor[]) => Tensor | readonly Tensor[];

/** The step on both reference devices: routine calls as `explain` names them, and that the values agree. */
export async function explained(step: Step, shapes: readonly (readonly number[])[]): Promise<string[]> {
  const run = async (device: Device): Promise<{ what: string[]; values: ArrayLike<number>[] }> => {
    const random = randomSource(3);
    const args = shapes.map((shape) => tensor(randomValues(random, shape.reduce((a, b) => a * b, 1), -1, 1), { shape, device }));
    const compiled = compile(() => step(args));
    const out = compiled();
    const values = [];
    for (const y of Array.isArray(out) ? out : [out]) values.push(await (y as Tensor).data());
    const what = compiled.explain()[0].steps.map((s) => s.what);
    compiled.dispose();
    device.dispose();
    return { what, values };
  };
  const fused = await run(await fusingReference());
  const plain = await run(await reference());
  fused.values.forEach((v, i) => expect(relativeError(v, plain.values[i])).toBeLessThan(1e-12));
  return fused.what;
}

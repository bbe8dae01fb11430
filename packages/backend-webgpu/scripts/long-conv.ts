// Long convolutions on this machine's WebGPU device: through transforms and term by term, with gradients. node long-conv.mjs
import { compile, grad, longConv, tensor } from '@mamba-ts/tensor';
import { webgpu } from '../src/open';
import { longConvBy, type Way } from '../src/routines/long-conv';
import { webgpuRoutines } from '../src/routines/index';

async function run(way: Way, shape: readonly [number, number, number]): Promise<{ values: ArrayLike<number>[]; milliseconds: number }> {
  Object.assign(webgpuRoutines, longConvBy(way));
  const device = await webgpu();
  const size = shape[0] * shape[1] * shape[2];
  const u = tensor(Float32Array.from({ length: size }, (_, i) => Math.sin(i * 0.7)), { shape, device });
  const kernel = tensor(Float32Array.from({ length: shape[1] * shape[2] }, (_, i) => Math.cos(i * 1.3) / (1 + i / shape[2])), { shape: shape.slice(1), device });
  const step = compile(() => {
    const y = longConv(u, kernel);
    return [y, ...grad(y.square().sum(), [u, kernel])];
  });
  const out = step();
  await device.synchronize();
  // The first second raises the clocks.
  let milliseconds = 0;
  for (let count = 1, begin = performance.now(); performance.now() - begin < 1000; count = Math.min(20, 2 * count)) {
    const from = performance.now();
    for (let i = 0; i < count; i++) step();
    await device.synchronize();
    milliseconds = (performance.now() - from) / count;
  }
  const values: ArrayLike<number>[] = [];
  for (const t of out) values.push(await t.data());
  device.dispose();
  return { values, milliseconds };
}

for (const shape of [[4, 300, 33], [8, 1024, 256], [2, 2048, 64], [1, 5000, 33], [2, 16384, 64], [1, 65536, 16]] as const) {
  const fast = await run('transforms', shape);
  const plain = await run('terms', shape);
  const worst = fast.values.map((v, k) => {
    let difference = 0;
    let norm = 0;
    for (let i = 0; i < v.length; i++) {
      difference += (v[i] - plain.values[k][i]) ** 2;
      norm += plain.values[k][i] ** 2;
    }
    return Math.sqrt(difference / norm);
  });
  console.log(`(${shape.join(', ')}): forward and gradients ${fast.milliseconds.toFixed(3)} ms through transforms, ${plain.milliseconds.toFixed(3)} ms term by term; relative differences ${worst.map((w) => w.toExponential(1)).join(', ')}`);
  if (!worst.every((w) => w < 1e-5)) throw new Error('the two ways differ');
}

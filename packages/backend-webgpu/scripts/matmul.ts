// Float32 products on this machine's WebGPU device: tiles beside each other, then what `matmul` chooses by itself. node matmul.mjs [OUT.json]
import { writeFileSync } from 'node:fs';
import type { WebGpuBackend } from '../src/backend';
import { webgpu } from '../src/open';
import type { Way } from '../src/routines/matmul';
import { ProductTimer, type Timing } from './time-product';

const device = await webgpu();
const { limits, features } = (device.backend as WebGpuBackend).gpu;
const { maxStorageBuffersPerShaderStage, maxComputeWorkgroupStorageSize, maxComputeInvocationsPerWorkgroup, maxStorageBufferBindingSize } = limits;
const machine = {
  device: device.backend.description,
  node: process.version,
  limits: { maxStorageBuffersPerShaderStage, maxComputeWorkgroupStorageSize, maxComputeInvocationsPerWorkgroup, maxStorageBufferBindingSize },
  features: [...features],
};
console.log(JSON.stringify(machine));

const results: Timing[] = [];
async function time(shape: readonly [number, number, number], transposes: readonly [boolean, boolean], ...ways: readonly Way[]): Promise<void> {
  const timer = new ProductTimer(device, shape, transposes);
  for (const way of ways) {
    const t = await timer.time(way);
    results.push(t);
    console.log(`${t.teraflops.toFixed(1).padStart(6)} TFLOP/s ${t.milliseconds.toFixed(4).padStart(9)} ms  ${t.shape}  ${t.code}`);
  }
  timer.dispose();
}

const square = [4096, 4096, 4096] as const;
const shapes = [[128, 128, 16, 8, 8], [128, 128, 16, 16, 8], [128, 128, 8, 8, 8], [128, 64, 16, 8, 8], [64, 64, 16, 8, 8], [64, 64, 16, 4, 8]] as const;
await time(square, [false, false], ...shapes.map(([m, n, k, rows, columns]) => ({ tile: { m, n, k, rows, columns }, slices: 1 })), 'best');
for (const transposes of [[false, true], [true, false], [true, true]] as const) await time(square, transposes, 'best');
// Gradients of weights: few tiles, a long k.
for (const shape of [[768, 16384, 3072], [256, 262144, 64]] as const) await time(shape, [true, false], 'best');
for (const shape of [[8192, 768, 3072], [16384, 1536, 768], [4095, 4095, 4095], [512, 512, 512], [1024, 1024, 1024], [256, 4096, 256], [64, 2048, 8192], [1, 768, 3072], [1, 1536, 768], [1, 768, 50280], [8, 768, 50280]] as const) {
  await time(shape, [false, true], 'best');
  await time(shape, [false, false], 'best');
}
if (process.argv[2]) writeFileSync(process.argv[2], `${JSON.stringify({ ...machine, date: new Date().toISOString(), results }, null, 1)}\n`);
device.dispose();

// Float32 products on this machine's WebGPU device: tiles beside each other, then what `matmul` chooses. node matmul.mjs [OUT.json]
import { writeFileSync } from 'node:fs';
import type { WebGpuBackend } from '../src/backend';
import { webgpu } from '../src/open';
import { type Timing, timeProduct } from './time-product';

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
async function time(...args: Parameters<typeof timeProduct> extends [unknown, ...infer R] ? R : never): Promise<void> {
  const t = await timeProduct(device, ...args);
  results.push(t);
  console.log(`${t.teraflops.toFixed(1).padStart(6)} TFLOP/s ${t.milliseconds.toFixed(4).padStart(9)} ms  ${t.shape}  ${t.code}`);
}

const square = [4096, 4096, 4096] as const;
const shapes = [[128, 128, 16, 16, 8], [128, 128, 16, 8, 16], [128, 128, 16, 8, 8], [128, 128, 8, 16, 8], [64, 64, 16, 8, 8]] as const;
for (const [m, n, k, rows, columns] of shapes) await time({ m, n, k, rows, columns }, square, [false, false]);
for (const transposes of [[false, true], [true, false], [true, true]] as const) await time('best', square, transposes);
for (const shape of [[8192, 768, 3072], [16384, 1536, 768], [4095, 4095, 4095], [512, 512, 512], [256, 4096, 256], [1, 768, 3072], [1, 1536, 768], [1, 768, 50280], [8, 768, 50280]] as const) {
  await time('best', shape, [false, true]);
  await time('best', shape, [false, false]);
}
await time('best', [768, 16384, 3072], [true, false]);
if (process.argv[2]) writeFileSync(process.argv[2], `${JSON.stringify({ ...machine, date: new Date().toISOString(), results }, null, 1)}\n`);
device.dispose();

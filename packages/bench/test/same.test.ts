// The same training run on every device of this machine. A card for CUDA is nowhere in CI and is left out by name; WebGPU has a software adapter
// there and must run.
import { existsSync } from 'node:fs';
import * as vitest from 'vitest';
import { openDevice } from '@mamba-ts/devices';
import type { Device } from '@mamba-ts/tensor';
import { testSameRun } from '../src/same/suite';

// Comes with Debian's chromium.
const software = '/usr/lib/chromium/vk_swiftshader_icd.json';
if (!process.env.VK_DRIVER_FILES && existsSync(software)) process.env.VK_DRIVER_FILES = software;
process.env.XDG_RUNTIME_DIR ??= '/tmp';

const found = new Map<string, Device>();
for (const name of ['webgpu', 'cuda'] as const) {
  try {
    found.set(name, await openDevice(name));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (process.env.CI && name !== 'cuda') throw new Error(`CI needs ${name}: ${reason}`, { cause: error });
    console.log(`left out: the same run on ${name} (${reason})`);
    vitest.it.skipIf(true)(`the same run on ${name} (${reason})`, () => vitest.expect.unreachable());
  }
}

testSameRun(vitest, [
  { name: 'cpu', open: () => openDevice('cpu', { threads: 1 }), longRun: true },
  ...[...found].map(([name, device]) => ({ name, open: async () => device, longRun: name === 'cuda' })),
]);

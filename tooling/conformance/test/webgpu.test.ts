import { existsSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { openDevice } from '@mamba-ts/devices';
import { testSequenceLayer } from '@mamba-ts/ssm/conformance';
import { combinations } from '../src/layers';

// A software adapter comes with Debian's chromium.
const software = '/usr/lib/chromium/vk_swiftshader_icd.json';
if (!process.env.VK_DRIVER_FILES && existsSync(software)) process.env.VK_DRIVER_FILES = software;
process.env.XDG_RUNTIME_DIR ??= '/tmp';

// Compiling takes its time where other work shares the cores.
vi.setConfig({ testTimeout: 180_000 });

const open = (): ReturnType<typeof openDevice> => openDevice('webgpu');
const missing = await open().then(
  (device) => {
    device.dispose();
    return null;
  },
  (error: unknown) => String((error as Error).message),
);
if (missing !== null && process.env.CI) throw new Error(`CI needs a WebGPU adapter: ${missing}`);

// All of them run on a card: `pnpm conformance --device webgpu`. In software every new shape takes a while to compile.
const chosen = ['mamba block with s6', 'plain block with s4d'];

if (missing === null) {
  for (const { name, make } of combinations()) {
    if (chosen.includes(name)) testSequenceLayer({ describe, it }, name, make, { devices: { webgpu: open }, reference: false, longRun: 9 });
  }
} else {
  console.log(`left out: sequence layers on webgpu (${missing})`);
  it.skipIf(true)(`sequence layers on webgpu (${missing})`, () => expect.unreachable());
}

// On an adapter, which is a program where there is no card: the contract's grid, shared out among a device with all limits
// and one with the baseline's, every way of running the kernels, the fixtures.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { deviceLimits } from '@mamba-ts/scan-webgpu';
import { contractChecks, gridChecks, wayCases } from '../src/self-check/contract';
import { DeviceScan, type DeviceScanOptions } from '../src/self-check/device-scan';
import { fixtureChecks } from '../src/self-check/fixtures';
import { tryOpen } from './devices';

const fixtures = fileURLToPath(new URL('../../../../shared/fixtures/selective-scan', import.meta.url));
const [all, baseline] = [await tryOpen('all'), await tryOpen('baseline')];

if (process.env.MAMBA_CHROMIUM === '' && !process.env.CI) {
  it.skipIf(true)('the contract in a browser (Chromium is not installed)', () => expect.unreachable());
}

describe('on an adapter', () => {
  if (typeof all === 'string' || typeof baseline === 'string') {
    const reason = String(all);
    console.log(`left out: everything that runs on an adapter (${reason})`);
    it.skipIf(true)(`the contract, every way of running the kernels, fixtures (${reason})`, () => expect.unreachable());
    return;
  }
  const limits = deviceLimits(all.device);
  const scan = (settings: DeviceScanOptions = {}): DeviceScan => new DeviceScan(all.device, settings);
  const whole = scan();
  const small = new DeviceScan(baseline.device);
  // Compiling takes a second a case on a program: a part of the grid, or all of it. Cards run all by self-check.
  const parts = process.env.MAMBA_ALL_CASES ? 2 : 9;
  const checks = [
    ...contractChecks('all limits', whole, ({ seed }) => seed % parts === 0),
    ...contractChecks('baseline limits', small, ({ seed }) => seed % parts === 1),
  ];
  for (const { name, body } of checks) it(name, body);

  const some = wayCases.filter(({ shape }) => shape.dState === 16);
  const ways: [string, DeviceScan, typeof wayCases][] = [
    [
      'memory',
      scan({ override: { exchange: 'memory', coefficients: 'memory', backwardExchange: 'memory', segments: 3 } }),
      some,
    ],
    ['one buffer, checkpoints', scan({ oneBuffer: true, checkpoints: true }), some.slice(0, 1)],
    ['parts', scan({ override: { parts: 3 } }), some.slice(0, 1)],
    ['straight code', scan({ limits: { software: false } }), some.slice(0, 1)],
    ['many states', whole, wayCases.filter(({ shape }) => shape.dState === 64 && !shape.complex)],
  ];
  if (limits.subgroupSize > 0) {
    ways.push([
      'subgroups',
      scan({ override: { exchange: 'subgroups', coefficients: 'subgroups', segments: 3 } }),
      some,
    ]);
    ways.push([
      'teams',
      scan({ override: { coefficients: 'memory', team: 2 }, checkpoints: true }),
      wayCases.filter(({ shape }) => shape.dState === 8 || shape.groups === 3),
    ]);
  }
  for (const [label, device, cases] of ways) {
    for (const { name, body } of gridChecks(label, device, false, cases)) it(name, body);
  }
  if (limits.f16) {
    for (const { name, body } of gridChecks('f16', scan({ dtype: 'f16' }), true, some)) it(name, body);
  } else {
    it.skipIf(true)('f16 arrays (the adapter has no shader-f16)', () => expect.unreachable());
  }
  if (existsSync(fixtures)) {
    for (const { name, body } of fixtureChecks(fixtures, whole)) it(name, body);
  } else {
    console.log('left out: cases of a public implementation (no ../shared)');
  }
});

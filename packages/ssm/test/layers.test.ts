import { sequenceLayers, testSequenceLayer } from '@mamba-ts/ssm/conformance';
import { describe, it } from 'vitest';
import { floatDevices } from './devices';

for (const [name, make] of Object.entries(sequenceLayers)) {
  testSequenceLayer({ describe, it }, name, make, { devices: floatDevices });
}

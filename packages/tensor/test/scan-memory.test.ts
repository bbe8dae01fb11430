import { describe, expect, it } from 'vitest';
import { cpu, type RoutineCall, type TensorSpec } from '@mamba-ts/tensor';

describe('memory of the scan', () => {
  it('backward of length 16384, 1024 channels, 16 states takes less than 64 MiB beyond inputs and gradients', async () => {
    const device = await cpu({ threads: 1 });
    const [batch, length, channels, dState] = [1, 16384, 1024, 16];
    const f32 = (...shape: number[]): TensorSpec => ({ shape, dtype: 'float32' });
    const [rows, A, B, vector] = [f32(batch, length, channels), f32(channels, dState), f32(batch, length, 1, dState), f32(channels)];
    const call: RoutineCall = {
      name: 'selectiveScanBackward',
      attributes: { groups: 1, complex: false, variableB: true, variableC: true, deltaSoftplus: true },
      inputs: [rows, null, rows, rows, A, B, B, vector, rows, vector, null, null],
      outputs: [rows, rows, A, B, B, vector, rows, vector, f32(0)],
    };
    const bytes = device.backend.scratchBytes(call);
    device.dispose();
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThan(64 * 2 ** 20);
  });
});

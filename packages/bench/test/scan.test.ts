import { describe, expect, it } from 'vitest';
import { scanCommand } from '../src/commands/scan';

describe('bench scan', () => {
  it('refuses a device that it does not know by name', async () => {
    await expect(scanCommand.run(['--device', 'abacus'])).rejects.toThrow("--device is 'abacus', expected one of webgpu");
    await expect(scanCommand.run([])).rejects.toThrow('--device');
  });
});

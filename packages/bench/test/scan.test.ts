import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { scanCommand } from '../src/commands/scan';
import type { BenchmarkResult } from '../src/results';

describe('bench scan', () => {
  it('refuses a device that it does not know by name', async () => {
    await expect(scanCommand.run(['--device', 'abacus'])).rejects.toThrow("--device is 'abacus', expected one of cpu, cuda, webgpu");
    await expect(scanCommand.run([])).rejects.toThrow('--device');
  });

  it('times the CPU kernel and writes JSON', async () => {
    vi.spyOn(console, 'log').mockReturnValue();
    const file = path.join(mkdtempSync(path.join(tmpdir(), 'bench-scan-')), 'scan.json');
    expect(await scanCommand.run(['--device', 'cpu', '--filter', '1x1536x256', '--out', file])).toBe(0);
    const { measurements } = JSON.parse(readFileSync(file, 'utf8')) as BenchmarkResult;
    expect(measurements).toHaveLength(2);
    expect(measurements[1].timing.median).toBeGreaterThan(measurements[0].timing.median);
    expect(measurements[0].note).toContain("of the bytes' floor");
  });
});

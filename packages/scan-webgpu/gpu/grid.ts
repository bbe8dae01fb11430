// The contract's suite without a test runner: runs what `testScan` registers, one after the other.
import { type ScanTestOptions, scanCases, testScan } from '@mamba-ts/scan/conformance';
import { type DeviceCapabilities, type ScanPlanOptions } from '@mamba-ts/scan-webgpu';
import { gpuScan } from '../test/device/implementation';

export interface GridResult {
  readonly name: string;
  readonly passed: number;
  readonly failed: readonly string[];
  readonly skipped: number;
  readonly seconds: number;
}

/** Runs the whole suite; failures are listed, not thrown. */
export async function runGrid(
  name: string,
  device: GPUDevice,
  fixed: Partial<ScanPlanOptions> = {},
  options: ScanTestOptions = {},
  capabilities: DeviceCapabilities = device,
): Promise<GridResult> {
  const tests: { path: string; body: () => void | Promise<void> }[] = [];
  const path: string[] = [];
  let skipped = 0;
  const describe = (title: string, body: () => void): void => {
    path.push(title);
    body();
    path.pop();
  };
  const it = Object.assign(
    (title: string, body: () => void | Promise<void>): void => void tests.push({ path: [...path, title].join(' > '), body }),
    { skip: (): void => void (skipped += 1) },
  );
  testScan({ describe, it }, name, () => gpuScan(device, fixed, capabilities), options);
  const failed: string[] = [];
  const start = performance.now();
  for (const { path: title, body } of tests) {
    try {
      await body();
    } catch (error) {
      failed.push(`${title}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const seconds = (performance.now() - start) / 1000;
  return { name, passed: tests.length - failed.length, failed, skipped, seconds };
}

export const caseCount: number = scanCases.length;

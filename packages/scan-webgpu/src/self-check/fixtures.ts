// Cases of a public implementation: safetensors in the layout of shared/fixtures/selective-scan.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Check, checkRecordedCase, readRecordedCase, type ScanImplementation } from '@mamba-ts/scan/conformance';

/** One check per case in `folder`. */
export function fixtureChecks(folder: string, scan: Required<ScanImplementation>): Check[] {
  const names = readdirSync(folder)
    .filter((name) => name.endsWith('.safetensors'))
    .sort();
  return names.map((file) => ({
    name: `fixture ${file.replace('.safetensors', '')}`,
    body: async () => {
      const settings = readFileSync(join(folder, file.replace('.safetensors', '.json')), 'utf8');
      const bytes = readFileSync(join(folder, file));
      await checkRecordedCase(scan, readRecordedCase(bytes, JSON.parse(settings) as Record<string, unknown>));
    },
  }));
}

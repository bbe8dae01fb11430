import { existsSync } from 'node:fs';
import { packageTests } from '@mamba-ts/vitest-preset';
import { playwright } from '@vitest/browser-playwright';

// Chromium is the system's; playwright downloads nothing.
const chromium = process.env.MAMBA_CHROMIUM ?? '/usr/bin/chromium';
const browser = existsSync(chromium);
if (!browser && process.env.CI) throw new Error(`CI needs Chromium for the browser tests of backend-webgpu, expected at ${chromium}`);
if (!browser) console.log(`left out: tests in the browser (no Chromium at ${chromium}; MAMBA_CHROMIUM may name one)`);

const args = ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];

const projects = [
  { extends: true as const, test: { name: 'backend-webgpu', exclude: ['test/browser/**'] } },
  {
    extends: true as const,
    test: {
      name: 'backend-webgpu in Chromium',
      exclude: ['test/*.test.ts'],
      browser: {
        enabled: true,
        headless: true,
        screenshotFailures: false,
        provider: playwright({ launchOptions: { executablePath: chromium, args } }),
        instances: [{ browser: 'chromium' as const }],
      },
    },
  },
];

// One worker: the software adapter takes all cores there are.
export default packageTests('backend-webgpu', { test: { maxWorkers: 1, testTimeout: 120_000, projects: browser ? projects : projects.slice(0, 1) } });

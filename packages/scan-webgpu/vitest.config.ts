import { existsSync } from 'node:fs';
import { playwright } from '@vitest/browser-playwright';
import { packageTests } from '@mamba-ts/vitest-preset';

// Where distributions put it.
const chromium = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
);
const args = [
  ...['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  ...['--disable-component-update', '--disable-sync'],
  // WebGPU without a card: Chromium brings an adapter that is a program.
  ...['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
];
const include = ['test/**/*.browser.test.ts'];
const inNode = { extends: true as const, test: { name: 'scan-webgpu', exclude: include } };
const inBrowser = {
  extends: true as const,
  test: {
    ...{ name: 'scan-webgpu in Chromium', include, exclude: ['test/**/!(*.browser).test.ts'] },
    browser: {
      ...{ enabled: true, headless: true, screenshotFailures: false, instances: [{ browser: 'chromium' as const }] },
      provider: playwright({ launchOptions: { executablePath: chromium, args } }),
    },
  },
};

// Without Chromium a test in Node says that it is missing; with CI set it has to be there.
const projects = chromium === undefined && !process.env.CI ? [inNode] : [inNode, inBrowser];

export default packageTests('scan-webgpu', { test: { testTimeout: 180_000, env: { MAMBA_CHROMIUM: chromium ?? '' }, projects } });

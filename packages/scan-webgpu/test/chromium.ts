import { existsSync } from 'node:fs';

/** Where distributions put Chromium; undefined where it is not installed. */
export const chromium: string | undefined = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find((path) => existsSync(path));

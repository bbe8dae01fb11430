import { fileURLToPath } from 'node:url';

/** This program's folder: the parent of both `src`, where tests run it, and `dist`, where all modules are one file. */
export const packageFolder: string = fileURLToPath(new URL('../', import.meta.url));

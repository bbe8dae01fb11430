import type { UserConfig } from 'vitest/config';

/** The vitest configuration of one package; `name` is also the name of its result file. */
export function packageTests(name: string, overrides?: UserConfig): UserConfig;

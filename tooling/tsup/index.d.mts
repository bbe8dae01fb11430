import type { Options } from 'tsup';

/** A published package: its index, further public entries (`subpaths`), and executables without types (`programs`). */
export function library(options?: Options & { subpaths?: string[]; programs?: string[] }): Options;

/** A program that is run from its folder and never imported: ESM only, no declarations. */
export function program(options?: Options & { entries?: string[] }): Options;

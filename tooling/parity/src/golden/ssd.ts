import { type GoldenChecker, waiting } from './golden-case';

/** Section 8 of the index: Mamba-2, SSD. */
export const ssdCheckers: readonly GoldenChecker[] = waiting('ssd_');

import { type GoldenChecker, waiting } from './golden-case';

/** Section 6 of the index: SaShiMi and audio. */
export const audioCheckers: readonly GoldenChecker[] = waiting(
  'mulaw_8bit',
  'mulaw_minmax_clip',
  'bits_per_byte',
  'sashimi_down_up_pool',
);

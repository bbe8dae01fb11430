import { type GoldenChecker, waiting } from './golden-case';

/** Section 7 of the index: attention baselines and RWKV-4. */
export const attentionAndRwkvCheckers: readonly GoldenChecker[] = waiting(
  'rotary',
  'norms',
  'rwkv4_wkv',
  'rwkv4_wkv_gradients',
  'rwkv4_inits',
  'activations',
);

import { checkActivations } from './activations';
import { type GoldenChecker, waiting } from './golden-case';
import { checkNorms } from './norms';

/** Section 7 of the index: attention baselines and RWKV-4. */
export const attentionAndRwkvCheckers: readonly GoldenChecker[] = [
  ...waiting('rotary', 'rwkv4_wkv', 'rwkv4_wkv_gradients', 'rwkv4_inits'),
  { prefix: 'norms', check: checkNorms },
  { prefix: 'activations', check: checkActivations },
];

import { type GoldenChecker, waiting } from './golden-case';

/** Sections 9 and 10 of the index: synthetic tasks and zero-shot evaluation. */
export const taskCheckers: readonly GoldenChecker[] = waiting(
  'selective_copying_example',
  'induction_heads_example',
  'safari_icl_',
  'lm_eval_multiple_choice',
  'lm_eval_lambada_ppl',
);

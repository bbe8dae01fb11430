import { type GoldenChecker, waiting } from './golden-case';

/** Sections 3 and 4 of the index: H3, Hyena, HyenaDNA. */
export const h3AndHyenaCheckers: readonly GoldenChecker[] = waiting(
  'h3_',
  'hyena_positional',
  'hyena_modulation',
  'hyena_order',
  'hyenadna_tokenizer',
);

import { type GoldenChecker, waiting } from './golden-case';

/** Section 2 of the index: convolutions. */
export const convolutionCheckers: readonly GoldenChecker[] = waiting('fftconv_causal', 'causal_depthwise_conv1d');

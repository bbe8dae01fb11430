import { attentionAndRwkvCheckers } from './attention-and-rwkv';
import { audioCheckers } from './audio';
import { codeCheckers } from './codes';
import { convolutionCheckers } from './convolution';
import type { GoldenChecker } from './golden-case';
import { h3AndHyenaCheckers } from './h3-and-hyena';
import { mambaCheckers } from './mamba';
import { s4Checkers } from './s4';
import { selectiveScanCheckers } from './selective-scan';
import { ssdCheckers } from './ssd';
import { taskCheckers } from './tasks';

/** Every kind of golden case, by the sections of the index. */
const checkers: readonly GoldenChecker[] = [
  ...s4Checkers,
  ...convolutionCheckers,
  ...h3AndHyenaCheckers,
  ...selectiveScanCheckers,
  ...mambaCheckers,
  ...audioCheckers,
  ...codeCheckers,
  ...attentionAndRwkvCheckers,
  ...ssdCheckers,
  ...taskCheckers,
];

/** The checker with the longest prefix of `name`, so that `rwkv4_wkv_gradients` is not taken for `rwkv4_wkv`. */
export function checkerOf(name: string): GoldenChecker | undefined {
  return checkers
    .filter(({ prefix }) => name.startsWith(prefix))
    .toSorted((a, b) => b.prefix.length - a.prefix.length)[0];
}

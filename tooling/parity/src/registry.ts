import { goldenFamily } from './families/golden';
import { h3Family } from './families/h3';
import { hyenaFamily } from './families/hyena';
import { mamba2HfFamily, mambaHfFamily } from './families/mamba-hf';
import { mambaOfficialFamily } from './families/mamba-official';
import { s4Family } from './families/s4';
import { selectiveScanFamily } from './families/selective-scan';
import { tokenizerFamily } from './families/tokenizer';
import { waitingFamily } from './families/waiting';
import type { Family } from './family';

/** Every family of fixtures. A folder that is not here fails the run. */
export const families: readonly Family[] = [
  selectiveScanFamily,
  tokenizerFamily,
  goldenFamily,
  mambaHfFamily,
  mamba2HfFamily,
  mambaOfficialFamily,
  s4Family,
  waitingFamily('pythia-hf'),
  waitingFamily('transformerpp-llama-hf'),
  waitingFamily('rwkv4-hf'),
  waitingFamily('sashimi'),
  h3Family,
  hyenaFamily,
];

import { DnaTokenizer, MuLaw, muLawSilence, reverseComplement, scaleClip } from '@mamba-ts/tokenizers';
import { compared, type Result } from '../family';
import { differingPlaces } from '../measure';
import { agreement, exactly, type GoldenCase, type GoldenChecker } from './golden-case';

/** What becomes ids without a vocabulary file: audio and DNA. */
export const codeCheckers: readonly GoldenChecker[] = [
  { prefix: 'mulaw_8bit', check: checkMuLaw },
  { prefix: 'mulaw_minmax_clip', check: checkClip },
  { prefix: 'hyenadna_tokenizer', check: checkDna },
];

function same(golden: GoldenCase, output: string, actual: ArrayLike<number>): Result {
  return compared(golden.name, output, differingPlaces(actual, golden.output(output).data), 0);
}

function* checkMuLaw(golden: GoldenCase): Iterable<Result> {
  const muLaw = new MuLaw();
  yield same(golden, 'encode', muLaw.encode(golden.input('x').data));
  const levels = golden.input('codes').data.map((code) => muLaw.level(code));
  yield agreement(golden).each('decode', levels, golden.output('decode').data);
}

/** A clip as a model of audio gets it: codes as targets, and as inputs one later, behind silence. */
function* checkClip(golden: GoldenCase): Iterable<Result> {
  const scaled = scaleClip(golden.input('raw').data);
  yield agreement(golden)('scaled', scaled, golden.output('scaled').data);
  const codes = new MuLaw().encode(scaled);
  yield same(golden, 'codes_y', codes);
  yield same(golden, 'input_x', [muLawSilence, ...codes.subarray(0, -1)]);
}

function* checkDna(golden: GoldenCase): Iterable<Result> {
  const tokenizer = new DnaTokenizer();
  for (const name of golden.outputNames('vocab')) {
    const id = tokenizer.specialTokens.get(name) ?? tokenizer.encode(name)[0];
    yield exactly(golden, `vocab.${name}`, id, golden.outputNumber('vocab', name));
  }
  const ids = tokenizer.encode(golden.inputText('text'));
  yield same(golden, 'ids', ids);
  const padded = tokenizer.padLeft(ids, golden.inputNumber('max_length'));
  yield same(golden, 'padded', padded);
  yield same(golden, 'lm_input', padded.subarray(0, -1));
  yield same(golden, 'lm_target', padded.subarray(1));
  const multiple = 'lm_vocab_padded_to_multiple_of_8';
  yield exactly(golden, multiple, Math.ceil(tokenizer.vocabSize / 8) * 8, golden.outputNumber(multiple));
  const prefix = 'reverse_complement_of_';
  for (const name of golden.outputNames().filter((n) => n.startsWith(prefix))) {
    yield exactly(golden, name, reverseComplement(name.slice(prefix.length)), golden.outputText(name));
  }
}

import { ignoreIndex, InductionHeads, inductionHeadsAnswer, writeSelectiveCopying } from '@mamba-ts/tasks';
import type { Result } from '../family';
import { compared } from '../family';
import { differingPlaces } from '../measure';
import { exactly, type GoldenCase, type GoldenChecker, waiting } from './golden-case';

/** Sections 9 and 10 of the index: synthetic tasks and zero-shot evaluation. */
export const taskCheckers: readonly GoldenChecker[] = [
  { prefix: 'selective_copying_example', check: checkCopying },
  { prefix: 'induction_heads_example', check: checkInduction },
  ...waiting('safari_icl_', 'lm_eval_multiple_choice', 'lm_eval_lambada_ppl'),
];

/** 1 where a position is scored. */
function maskOf(targets: Int32Array): Int32Array {
  return targets.map((target) => Number(target !== ignoreIndex));
}

/** One row from its tokens and their places. */
function* checkCopying(golden: GoldenCase): Iterable<Result> {
  const same = (quantity: string, actual: Int32Array): Result =>
    compared(golden.name, quantity, differingPlaces(actual, golden.output(quantity).data), 0);
  const { data: tokens } = golden.input('tokens');
  const inputs = new Int32Array(golden.output('input').data.length);
  const targets = new Int32Array(inputs.length).fill(ignoreIndex);
  const { data: positions } = golden.input('positions_sorted');
  writeSelectiveCopying(tokens, positions, golden.inputNumber('vocab'), inputs, targets);
  yield same('input', inputs);
  yield same(
    'target',
    targets.filter((target) => target !== ignoreIndex),
  );
  yield same('loss_mask', maskOf(targets));
}

/** The answer of a row, and what is scored in rows of this length. */
function* checkInduction(golden: GoldenCase): Iterable<Result> {
  const inputs = Int32Array.from(golden.input('input').data);
  const special = golden.inputNumber('special');
  yield exactly(golden, 'target', inductionHeadsAnswer(inputs, special), golden.outputNumber('target'));
  const task = new InductionHeads({ length: inputs.length, vocabSize: special + 1 });
  const mask = golden.output('loss_mask').data;
  yield compared(golden.name, 'loss_mask', differingPlaces(maskOf(task.trainBatch(0, 1).targets), mask), 0);
}

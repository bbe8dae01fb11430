import { compared, type Family, type Result, unusable } from '../family';
import { caseNames, type FixtureCase, readCase } from '../fixture-case';
import { relativeError } from '../measure';
import { expectedGradient, scanFixture } from '../scan/fixture';
import { scanImplementations } from '../scan/implementations';
import { sequenceToChannelLast } from '../scan/layout';

const OUTPUT_TOLERANCE = 1e-5;
const GRADIENT_TOLERANCE = 1e-4;

/** `selective_scan_ref` of state-spaces/mamba; gradients are those of sum(out * grad_out). */
export const selectiveScanFamily: Family = {
  name: 'selective-scan',
  async *check(folder: string): AsyncIterable<Result> {
    const stored = await caseNames(folder, '.safetensors');
    const described = await caseNames(folder, '.json');
    for (const name of new Set([...stored, ...described].toSorted())) {
      try {
        const fixture = await readCase(folder, name);
        // All results of a case before the first is given away: a case that turns out unusable has none.
        const results = [...checkCase(fixture)];
        yield* results;
        for (const tensor of fixture.leftOver()) yield unusable(name, `nothing compares its tensor ${tensor}`);
      } catch (error) {
        yield unusable(name, (error as Error).message);
      }
    }
  },
};

function* checkCase(fixture: FixtureCase): Iterable<Result> {
  const { name } = fixture;
  const scan = scanFixture(fixture);
  const out = sequenceToChannelLast('out', fixture.get('out'));
  const lastState = fixture.find('last_state');
  const gradients = fixture.namesUnder('grad.').map((gradient) => expectedGradient(fixture, gradient, scan.shape));
  const outGradient = fixture.find('grad_out');
  if (gradients.length > 0 && outGradient === undefined) throw new Error('the fixture has gradients but no grad_out');
  for (const implementation of scanImplementations) {
    const through = (quantity: string): string => `${quantity} (${implementation.name})`;
    const result = implementation.forward(scan);
    yield compared(name, through('out'), relativeError(result.y, out), OUTPUT_TOLERANCE);
    if (lastState !== undefined) {
      yield compared(name, through('last_state'), relativeError(result.lastState, lastState.data), OUTPUT_TOLERANCE);
    }
    if (outGradient === undefined) continue;
    const actual = implementation.backward(scan, sequenceToChannelLast('grad_out', outGradient));
    for (const { name: input, expected } of gradients) {
      const gradient = actual[input];
      const error = gradient === undefined ? Infinity : relativeError(gradient, expected);
      yield compared(name, through(`grad ${input}`), error, GRADIENT_TOLERANCE);
    }
  }
}

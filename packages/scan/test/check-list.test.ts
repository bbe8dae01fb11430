import { describe, expect, it } from 'vitest';
import { selectiveScanBackwardReference, selectiveScanReference, type ScanGradients } from '@mamba-ts/scan';
import { type Check, compareStored, everyFeature, listChecks, runChecks, scanCases, type ScanImplementation, type ScanStorage } from '@mamba-ts/scan/conformance';

describe('checks as a list', () => {
  it('are named after their groups, in order', () => {
    const checks = listChecks(({ describe: group, it: check }) => {
      check('alone', () => {});
      group('a', () => {
        group('b', () => check('c', () => {}));
        check('d', () => {});
      });
    });
    expect(checks.map(({ name }) => name)).toEqual(['alone', 'a: b: c', 'a: d']);
  });

  it('leave nothing out', () => {
    expect(() => listChecks(({ it: check }) => check.skip('a case (too large)', () => {}))).toThrow('a case (too large)');
  });

  it('run, with failures counted and printed', async () => {
    let running = 0;
    let most = 0;
    const slow: Check['body'] = async () => {
      most = Math.max(most, ++running);
      await new Promise((done) => setTimeout(done, 1));
      running--;
    };
    const fails: Check['body'] = () => {
      throw new Error('y is wrong');
    };
    const lines: string[] = [];
    const checks = [slow, fails, slow, slow].map((body, i) => ({ name: `check ${i}`, body }));
    expect(await runChecks(checks, (line) => lines.push(line), { atOnce: 3 })).toBe(1);
    expect(lines[0]).toBe('FAILED check 1\n       y is wrong');
    expect(lines[1]).toMatch(/^3 of 4 checks passed in [\d.]+ s$/);
    expect(most).toBe(3);
    most = 0;
    expect(await runChecks(checks.slice(2), () => {})).toBe(0);
    expect(most).toBe(1);
  });
});

describe('comparison with fewer bits', () => {
  const scanCase = { ...scanCases.find(({ shape }) => shape.length > 4 && shape.variableB && !shape.complex)!, features: everyFeature };
  const coarse: ScanStorage = { name: 'coarse', round: (values) => values.map((x) => Math.round(x * 16) / 16), tolerance: { forward: 1e-5, backward: 1e-4 } };
  const narrow = (values: Float64Array): Float32Array => Float32Array.from(values);
  const exact: Pick<Required<ScanImplementation>, 'forward' | 'backward'> = {
    forward: (shape, inputs, options) => {
      const { y, lastState } = selectiveScanReference(shape, inputs, options);
      return { y: narrow(y), lastState: narrow(lastState) };
    },
    backward: (shape, inputs, gradients, options) => {
      const all = Object.entries(selectiveScanBackwardReference(shape, inputs, gradients, options));
      return Object.fromEntries(all.map(([name, values]) => [name, narrow(values as Float64Array)])) as unknown as ScanGradients;
    },
  };

  it('takes inputs as they are stored', async () => {
    const seen: Float32Array[] = [];
    const forward: typeof exact.forward = (shape, inputs, options) => {
      seen.push(inputs.u);
      return exact.forward(shape, inputs, options);
    };
    await compareStored({ ...exact, forward }, scanCase, coarse);
    await compareStored({ ...exact, forward }, scanCase);
    expect(seen[0].every((x) => Number.isInteger(x * 16))).toBe(true);
    expect(seen[1].every((x) => Number.isInteger(x * 16))).toBe(false);
  });

  it('finds wrong results and other bits', async () => {
    const wrong: typeof exact.forward = async (...args) => {
      const { y, lastState } = await exact.forward(...args);
      return { y: y.fill(0), lastState };
    };
    await expect(compareStored({ ...exact, forward: wrong }, scanCase)).rejects.toThrow('y');
    let calls = 0;
    const shaky: typeof exact.backward = (...args) => {
      const gradients = exact.backward(...args) as ScanGradients;
      if (calls++ > 0) gradients.u[0] = gradients.u[0] * (1 + 2 ** -23);
      return gradients;
    };
    await expect(compareStored({ ...exact, backward: shaky }, scanCase)).rejects.toThrow('gradient of u, again');
  });
});

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SafetensorsTensor, tensorFromFloats, toFloat32 } from '@mamba-ts/nn/safetensors';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runParity } from '../src/command-line';
import { families } from '../src/registry';
import { type Changes, type ScanSizes, writeScanCase } from './synthetic';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parity-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function run(...more: string[]): Promise<{ code: number; text: string }> {
  const lines: string[] = [];
  const code = await runParity([folder, ...more], (line) => lines.push(line));
  return { code, text: lines.join('\n') };
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await mkdir(join(folder, path, '..'), { recursive: true });
  await writeFile(join(folder, path), JSON.stringify(value));
}

const small: ScanSizes = { batch: 1, channels: 2, dState: 3, length: 5, groups: 1, complex: false };
const scanCase = (name: string, sizes: Partial<ScanSizes> = {}, changes: Changes = {}): Promise<void> =>
  writeScanCase(join(folder, 'selective-scan'), name, { ...small, ...sizes }, changes);

/** Adds `by` to the first element of one tensor. */
function nudge(name: string, by: number): Changes {
  return {
    tensors(tensors: Map<string, SafetensorsTensor>) {
      const tensor = tensors.get(name)!;
      const values = toFloat32(tensor).map((value, i) => (i === 0 ? value + by : value));
      tensors.set(name, tensorFromFloats(values, tensor.shape));
    },
  };
}

describe('selective-scan, other sizes and seeds', () => {
  test('cases of any shape and number pass, through every implementation', async () => {
    await scanCase('case00');
    await scanCase('another name', { batch: 3, channels: 6, dState: 17, length: 70, groups: 3 });
    await scanCase('complex', { complex: true, length: 9, channels: 4, groups: 2 });
    await scanCase('one-step', { length: 1, channels: 1, dState: 1 });
    const { code, text } = await run();
    expect(text).toContain('parity: 16 passed, 0 missed, 0 not yet covered');
    expect(text).toMatch(/selective-scan +another name +out \(wasm\) +\S+ +1\.0e-5 {2}pass/);
    expect(code).toBe(0);
  });

  test.each([
    ['out', 1e-3],
    ['last_state', 1e-3],
    ['out', NaN],
  ])('a change of %s by %f fails the run', async (name, by) => {
    await scanCase('good');
    await scanCase('bad', {}, nudge(name, by));
    const { code, text } = await run();
    expect(code).toBe(1);
    expect(text).toContain('2 missed');
    expect(text).toMatch(new RegExp(`selective-scan +bad +${name} \\(wasm\\).*MISS`));
  });

  test.each<[string, Changes, string]>([
    ['a setting that lies', { settings: (settings) => (settings['has_D'] = false) }, 'the setting has_D disagree'],
    ['a setting that is missing', { settings: (settings) => delete settings['complex'] }, 'setting complex is missing'],
    ['a missing tensor', { tensors: (tensors) => tensors.delete('in.delta') }, 'the fixture has no tensor in.delta'],
    ['a missing result', { tensors: (tensors) => tensors.delete('out') }, 'the fixture has no tensor out'],
    [
      'a tensor that nobody compares',
      { tensors: (tensors) => tensors.set('in.w', tensorFromFloats([1], [1])) },
      'nothing compares its tensor in.w',
    ],
    [
      'a gradient of nothing',
      { tensors: (tensors) => tensors.set('grad.w', tensorFromFloats([1], [1])) },
      'grad.w is of no input that the scan has',
    ],
    [
      'gradients without grad_out',
      { tensors: (tensors) => tensors.set('grad.D', tensorFromFloats([1, 1], [2])) },
      'gradients but no grad_out',
    ],
    ['another shape', { tensors: (tensors) => tensors.set('in.D', tensorFromFloats([1], [1])) }, 'D has 1 elements'],
  ])('%s fails the run by name', async (_what, changes, says) => {
    await scanCase('bad', {}, changes);
    const { code, text } = await run();
    expect(text).toContain(says);
    expect(code).toBe(1);
  });

  test('half a fixture, and a file that is no safetensors file', async () => {
    await scanCase('good');
    await writeJson('selective-scan/lonely.json', {});
    await writeFile(join(folder, 'selective-scan', 'broken.safetensors'), 'PK');
    await writeJson('selective-scan/broken.json', {});
    const { code, text } = await run();
    expect(code).toBe(1);
    expect(text).toMatch(/lonely .*MISS: ENOENT/);
    expect(text).toMatch(/broken .*MISS: safetensors: file has 2 bytes/);
    expect(text).toContain('4 passed, 2 missed');
  });
});

describe('golden', () => {
  const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

  /** Theorem 1 on other numbers, by its closed form. */
  function gate(s: readonly number[], x: readonly number[]): { inputs: object; outputs: Record<string, number[]> } {
    let h = 0;
    const g = s.map(sigmoid);
    const states = x.map((value, t) => (h = (1 - g[t]!) * h + g[t]! * value));
    return { inputs: { s, x }, outputs: { g, dA: g.map((value) => 1 - value), h: states } };
  }

  test('cases with other numbers and sizes are found by the start of their name', async () => {
    const cases = { theorem1_gate: gate([0.5, -2, 3, 0, 1], [1, 2, -3, 4, 0.5]), theorem1_gate_L1: gate([0.25], [2]) };
    await writeJson('golden/golden.json', { meta: {}, cases });
    const { code, text } = await run();
    expect(text).toContain('parity: 6 passed, 0 missed, 0 not yet covered');
    expect(code).toBe(0);
  });

  test('what is waiting is listed, and passes nothing', async () => {
    await writeJson('golden/golden.json', { cases: { rwkv4_wkv_gradients_B2: { inputs: {}, outputs: {} } } });
    const { code, text } = await run();
    expect(text).toContain('golden: rwkv4_wkv_gradients_B2');
    expect(text).toContain('Nothing was compared, which is a failure.');
    expect(text).toContain('parity: 0 passed, 0 missed, 1 not yet covered');
    expect(code).toBe(1);
  });

  test('an output that no check reads is listed as not yet covered', async () => {
    const { inputs, outputs } = gate([1], [1]);
    await writeJson('golden/golden.json', { cases: { theorem1_gate: { inputs, outputs: { ...outputs, more: [1] } } } });
    const { code, text } = await run();
    expect(text).toContain('golden: theorem1_gate: more');
    expect(code).toBe(0);
  });

  test('of outputs that are objects and lists of them, what no check reads is listed by its place', async () => {
    const { inputs, outputs } = gate([1], [1]);
    const more = { zoh: { K: [1], y: 2 }, rows: [{ a: 1 }, { a: 2, b: [[3]] }] };
    const nested = { theorem1_gate: { inputs, outputs: { ...outputs, ...more } } };
    await writeJson('golden/golden.json', { cases: nested });
    const { code, text } = await run();
    const places = ['zoh.K', 'zoh.y', 'rows[].a', 'rows[].b'].map((place) => `theorem1_gate: ${place}`);
    expect(text).toContain(`golden: ${places.join(', ')}\n`);
    expect(code).toBe(0);
  });

  test('where sizes differ by powers of ten, the small ones count as much', async () => {
    const bias = [1e-6, 0.5].map((dt) => dt + Math.log(-Math.expm1(-dt)));
    const inputs = { dt_min: 1e-6, dt_max: 0.5, U: [0, 1] };
    await writeJson('golden/golden.json', { cases: { dt_init: { inputs, outputs: { dt: [1.1e-6, 0.5], bias } } } });
    const { code, text } = await run();
    expect(text).toMatch(/dt_init +dt \(float64\) +9\.1e-2 .*MISS/);
    expect(code).toBe(1);
  });

  test.each([
    ['a wrong number', { theorem1_gate: { ...gate([1, 2], [3, 4]), outputs: gate([1, 2], [3, 5]).outputs } }, 'MISS'],
    ['a case of no known name', { theorem2: gate([1], [1]) }, 'no checker knows a golden case of this name'],
    ['a ragged list', { theorem1_gate: gate([[1], [1, 2]] as never, [1]) }, 'ragged'],
    ['no inputs', { theorem1_gate: { outputs: {} } }, 'expected objects "inputs" and "outputs"'],
    ['a missing input', { theorem1_gate: { inputs: {}, outputs: {} } }, 'input s of theorem1_gate holds undefined'],
  ])('%s fails the run', async (_what, cases, says) => {
    await writeJson('golden/golden.json', { cases });
    const { code, text } = await run();
    expect(text).toContain(says);
    expect(code).toBe(1);
  });

  test('a file without cases', async () => {
    await writeJson('golden/golden.json', { cases: [] });
    expect(await run()).toMatchObject({ code: 1, text: expect.stringContaining('expected an object "cases"') });
  });
});

describe('tokenizer', () => {
  const sample = { text: 'a', ids: [66], decoded: 'a' };

  test('without its data the family fails, and says where it looked', async () => {
    await writeJson('tokenizer/some.json', [sample]);
    const { code, text } = await run('--data', join(folder, 'nowhere'));
    expect(text).toMatch(/MISS: ENOENT.*some-tokenizer\.json.*--data names another/);
    expect(code).toBe(1);
  });

  test('a file of another kind, and a digest without samples', async () => {
    await writeJson('tokenizer/other.json', [{ text: 'a' }]);
    await writeJson('tokenizer/text.json', { count: 1, sha256_u32le: '', first: [1] });
    const { code, text } = await run();
    expect(text).toContain('expected a list of { text, ids, decoded }, or { count, sha256_u32le, first }');
    expect(text).toContain('the folder has samples of 0 tokenizers');
    expect(code).toBe(1);
  });
});

describe('the folder as a whole', () => {
  test('a family that is not known fails the run, beside others that pass', async () => {
    await scanCase('good');
    await mkdir(join(folder, 'selective-scam'));
    const { code, text } = await run();
    expect(text).toMatch(/selective-scam .*MISS: no family of this name is known/);
    expect(text).toContain('4 passed, 1 missed');
    expect(code).toBe(1);
  });

  test('a loose file fails the run, a text that explains does not', async () => {
    await scanCase('good');
    await writeFile(join(folder, 'README.md'), '# Fixtures');
    expect((await run()).code).toBe(0);
    await writeJson('stray.json', {});
    expect(await run()).toMatchObject({ code: 1, text: expect.stringContaining('stray.json') });
  });

  test('a family without cases fails the run', async () => {
    await scanCase('good');
    await mkdir(join(folder, 'golden'));
    await mkdir(join(folder, 's4'));
    const { code, text } = await run();
    expect(text).toMatch(/golden .*MISS: the folder holds no case/);
    expect(text).toMatch(/s4 .*MISS: the folder holds no case/);
    expect(code).toBe(1);
  });

  test('an empty folder, no folder, and a call that makes no sense', async () => {
    const { code, text } = await run();
    expect(text).toContain('Nothing was compared');
    expect(code).toBe(1);
    const printed: string[] = [];
    const print = (line: string): void => void printed.push(line);
    expect(await runParity([join(folder, 'nowhere')], print)).toBe(2);
    expect(await runParity([], print)).toBe(2);
    expect(await runParity(['a', 'b'], print)).toBe(2);
    expect(await runParity(['a', '--dada', 'b'], print)).toBe(2);
    expect(printed.join('\n')).toContain('usage: parity FOLDER');
  });

  test('every family that is waiting lists its fixtures', async () => {
    await scanCase('good');
    await mkdir(join(folder, 'sashimi'));
    await writeFile(join(folder, 'sashimi', 'sashimi-deep.safetensors'), '');
    const { code, text } = await run();
    expect(text).toContain('sashimi: sashimi-deep');
    expect(code).toBe(0);
  });

  test('families have names of their own', () => {
    expect(new Set(families.map(({ name }) => name)).size).toBe(families.length);
  });
});

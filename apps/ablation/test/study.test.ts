import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { UsageError } from '../src/errors';
import { packageFolder } from '../src/package-folder';
import { checkStudy } from '../src/study/check';
import { defaultStudy, loadStudy } from '../src/study/load';
import { resolveStudy } from '../src/study/resolve';
import { tinyStudy } from './tiny-study';

/** The tiny study with one field changed. */
function changed(path: readonly (string | number)[], value: unknown): unknown {
  const copy = structuredClone(tinyStudy) as unknown as Record<string | number, unknown>;
  const owner = path
    .slice(0, -1)
    .reduce<Record<string | number, unknown>>((at, key) => at[key] as Record<string | number, unknown>, copy);
  owner[path[path.length - 1]] = value;
  return copy;
}

describe('a config is checked field by field', () => {
  test('the study that comes with the program, and the tiny one', async () => {
    const { study, folder } = await loadStudy(defaultStudy);
    const parts = resolveStudy(study, { folder, seed: 1 });
    expect(parts.map((p) => p.rows.map((r) => r.name))).toEqual([
      ['plain + S4D', 'mamba + S4D', 'plain + S6', 'mamba + S6'],
      ['mamba + S6'],
    ]);
    expect(checkStudy(tinyStudy)).toBe(tinyStudy);
  });

  test.each(readdirSync(join(packageFolder, 'configs')))('configs/%s can be run', async (name) => {
    const { study, folder } = await loadStudy(join(packageFolder, 'configs', name));
    const rows = resolveStudy(study, { folder, seed: 1 }).flatMap((p) => p.rows);
    expect(rows.length).toBeGreaterThan(1);
  });

  test.each<[readonly (string | number)[], unknown, string]>([
    [['title'], 5, 'study.title is 5, expected a text'],
    [['title'], undefined, 'study.title is missing, expected a text'],
    [['extra'], 1, 'study.extra is no setting, expected one of title, lead, seed, parts'],
    [['seed'], -1, 'study.seed is -1, expected an integer from 0 to 2147483647'],
    [['parts'], [], 'study.parts is [], expected a list that is not empty'],
    [
      ['parts', 0, 'task', 'kind'],
      'sorting',
      'study.parts[0].task.kind is "sorting", expected one of selective-copying, induction-heads, text',
    ],
    [['parts', 0, 'task', 'dataTokens'], 99, 'study.parts[0].task.dataTokens is 99, expected an integer from 1 to 12'],
    [['parts', 0, 'rows', 1, 'layer'], 's5', 'study.parts[0].rows[1].layer is "s5", expected one of s6, s4d'],
    [
      ['parts', 0, 'rows', 1, 'layer'],
      { kind: 'lstm' },
      'study.parts[0].rows[1].layer.kind is "lstm", expected one of s6, s4d',
    ],
    [
      ['parts', 0, 'rows', 0, 'block'],
      undefined,
      'study.parts[0].rows[0].block is missing, expected one of plain, mamba',
    ],
    [['parts', 0, 'rows', 0, 'blok'], 'mamba', 'study.parts[0].rows[0].blok is no setting'],
    [['parts', 0, 'model', 'dModel'], 1.5, 'study.parts[0].model.dModel is 1.5, expected an integer >= 1'],
    [
      ['parts', 0, 'model', 'tieEmbeddings'],
      'yes',
      'study.parts[0].model.tieEmbeddings is "yes", expected true or false',
    ],
    [['parts', 0, 'training', 'steps'], 0, 'study.parts[0].training.steps is 0, expected an integer >= 1'],
    [
      ['parts', 0, 'training', 'learningRate'],
      'fast',
      'study.parts[0].training.learningRate is "fast", expected a number between 0 and 10',
    ],
    [['parts', 0, 'training', 'schedule'], 'step', 'expected one of constant, linear, cosine'],
    [['parts', 0, 'training', 'clipNorm'], 0, 'study.parts[0].training.clipNorm is 0, expected a number > 0'],
    [
      ['parts', 0, 'sample'],
      { prompt: 'a', bytes: 3 },
      'study.parts[0].sample is for text tasks, but the task is selective-copying',
    ],
    [['parts', 1, 'sample', 'topP'], 0, 'study.parts[1].sample.topP is 0'],
    [['parts', 0, 'solvedAt'], 95, 'study.parts[0].solvedAt is 95, expected a number between 0 and 1'],
  ])('%j = %j', (path, value, message) => {
    expect(() => checkStudy(changed(path, value))).toThrow(UsageError);
    expect(() => checkStudy(changed(path, value))).toThrow(message);
  });

  test.each([[null], ['study'], [[]], [7]])('%j is no study', (value) => {
    expect(() => checkStudy(value)).toThrow('study is');
  });
});

describe('rows are settled before the first is trained', () => {
  const resolve = (study: unknown, steps?: number): ReturnType<typeof resolveStudy> =>
    resolveStudy(checkStudy(study), { folder: __dirname, seed: 1, steps });

  test("settings of layers that don't exist name the row", () => {
    expect(() => resolve(changed(['parts', 0, 'rows', 1, 'layer'], { kind: 's6', dStat: 4 }))).toThrow(
      /^study\.parts\[0\]\.rows\[1\]: .*dStat/,
    );
  });

  test('names tell rows apart, and two of one name are refused', () => {
    const [part] = resolve(
      changed(
        ['parts', 0, 'rows'],
        [
          { block: 'plain', layer: 's6' },
          { block: 'plain', layer: { kind: 's6', dState: 4 } },
          { block: { kind: 'mamba', expand: 1 }, layer: { kind: 's6', selective: { B: false } } },
          { block: 'plain', layer: 's6', name: 'again' },
        ],
      ),
    );
    expect(part.rows.map((r) => r.name)).toEqual([
      'plain + S6',
      'plain + S6 (dState 4)',
      'mamba (expand 1) + S6 (selective {"B":false})',
      'again',
    ]);
    expect(() =>
      resolve(
        changed(
          ['parts', 0, 'rows'],
          [
            { block: 'plain', layer: 's6' },
            { block: 'plain', layer: 's6' },
          ],
        ),
      ),
    ).toThrow('study.parts[0].rows[1] is called "plain + S6", as a row before it; give it a name');
  });

  test("a row's own settings win over the part's, and --steps over both", () => {
    const study = changed(['parts', 0, 'rows', 0], {
      block: 'plain',
      layer: 's4d',
      training: { batch: 2, warmup: 4 },
      model: { nLayer: 2 },
    });
    const [own] = resolve(study)[0].rows;
    expect([own.training.batch, own.training.steps, own.model.nLayer]).toEqual([2, 6, 2]);
    const [short] = resolve(study, 30)[0].rows;
    expect([short.training.steps, short.training.warmup]).toEqual([30, 3]);
  });

  test("a text that isn't there, or is too short", () => {
    expect(() => resolve(changed(['parts', 1, 'task', 'file'], 'nothing.txt'))).toThrow(
      /nothing\.txt could not be read/,
    );
    expect(() => resolve(changed(['parts', 1, 'task', 'length'], 100_000))).toThrow(/too few for length 100000/);
  });
});

describe('config files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mamba-study-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };

  test('JSON and modules', async () => {
    const json = file('a.json', JSON.stringify(tinyStudy));
    const module = file('b.mjs', `export default ${JSON.stringify(tinyStudy)};`);
    expect((await loadStudy(json)).study).toEqual(tinyStudy);
    expect(await loadStudy(module)).toEqual({ study: tinyStudy, folder });
  });

  test("files that can't be used", async () => {
    await expect(loadStudy(join(folder, 'none.mjs'))).rejects.toThrow(/--config: .*none\.mjs does not exist/);
    await expect(loadStudy(file('c.json', '{'))).rejects.toThrow(/--config: .*c\.json could not be read/);
    await expect(loadStudy(file('d.mjs', 'export default {'))).rejects.toThrow(/could not be read/);
    await expect(loadStudy(file('e.mjs', 'export const study = {};'))).rejects.toThrow(
      'study is missing, expected an object',
    );
    await expect(loadStudy(file('f.yaml', ''))).rejects.toThrow(
      'ends in .yaml, expected .json or one of .mjs, .js, .mts, .ts',
    );
  });
});

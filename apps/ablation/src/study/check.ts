import { blocks, layers } from '@mamba-ts/models';
import { UsageError } from '../errors';
import { choiceAt, integerAt, listAt, numberAt, objectAt, optional, refuse, show, textAt } from './fields';
import type { Study } from './study';

/**
 * A study out of anything that a config file may export.
 *
 * @throws UsageError that names the field by its path, what was expected and what came
 */
export function checkStudy(value: unknown): Study {
  const study = objectAt('study', value, ['title', 'lead', 'seed', 'parts']);
  textAt('study.title', study.title);
  optional('study', study, 'lead', textAt);
  optional('study', study, 'seed', checkSeed);
  listAt('study.parts', study.parts).forEach((part, i) => checkPart(`study.parts[${i}]`, part));
  return value as Study;
}

export function checkSeed(path: string, value: unknown): void {
  integerAt(path, value, 0, 2 ** 31 - 1);
}

function checkPart(path: string, value: unknown): void {
  const part = objectAt(path, value, [
    'title',
    'why',
    'paperScale',
    'task',
    'model',
    'training',
    'rows',
    'solvedAt',
    'sample',
  ]);
  textAt(`${path}.title`, part.title);
  for (const key of ['why', 'paperScale']) optional(path, part, key, textAt);
  const kind = checkTask(`${path}.task`, part.task);
  checkModel(`${path}.model`, part.model, true);
  checkTraining(`${path}.training`, part.training, true);
  optional(path, part, 'solvedAt', (at, v) => numberAt(at, v, 0, 1, true));
  if (part.sample !== undefined && kind !== 'text')
    throw new UsageError(`${path}.sample is for text tasks, but the task is ${kind}`);
  optional(path, part, 'sample', checkSample);
  listAt(`${path}.rows`, part.rows).forEach((row, i) => checkRow(`${path}.rows[${i}]`, row));
}

function checkRow(path: string, value: unknown): void {
  const row = objectAt(path, value, ['block', 'layer', 'name', 'paper', 'model', 'training']);
  checkKind(`${path}.block`, row.block, Object.keys(blocks));
  checkKind(`${path}.layer`, row.layer, Object.keys(layers));
  for (const key of ['name', 'paper']) optional(path, row, key, textAt);
  optional(path, row, 'model', (at, v) => checkModel(at, v, false));
  optional(path, row, 'training', (at, v) => checkTraining(at, v, false));
}

/** `'s6'`, or an object whose kind is one of them; its settings are checked when the model is built. */
function checkKind(path: string, value: unknown, kinds: readonly string[]): void {
  if (typeof value === 'object' && value !== null && 'kind' in value) choiceAt(`${path}.kind`, value.kind, kinds);
  else choiceAt(path, value, kinds);
}

const tasks: Readonly<Record<string, readonly string[]>> = {
  'selective-copying': ['kind', 'contextLength', 'dataTokens', 'vocabSize', 'validationRows'],
  'induction-heads': ['kind', 'length', 'vocabSize', 'validationRows'],
  text: ['kind', 'file', 'length', 'validationFraction', 'validationBytes'],
};

function checkTask(path: string, value: unknown): string {
  const kind = typeof value === 'object' && value !== null ? (value as { kind?: unknown }).kind : undefined;
  if (typeof kind !== 'string' || !Object.hasOwn(tasks, kind))
    refuse(`${path}.kind`, kind, `one of ${Object.keys(tasks).join(', ')}`);
  const task = objectAt(path, value, tasks[kind]);
  optional(path, task, 'validationRows', (at, v) => integerAt(at, v, 1));
  if (kind === 'selective-copying') {
    integerAt(`${path}.contextLength`, task.contextLength, 1);
    integerAt(`${path}.dataTokens`, task.dataTokens, 1, task.contextLength as number);
    integerAt(`${path}.vocabSize`, task.vocabSize, 3);
  } else if (kind === 'induction-heads') {
    integerAt(`${path}.length`, task.length, 3);
    integerAt(`${path}.vocabSize`, task.vocabSize, 2);
  } else {
    textAt(`${path}.file`, task.file);
    integerAt(`${path}.length`, task.length, 1);
    optional(path, task, 'validationFraction', (at, v) => numberAt(at, v, 0, 1));
    optional(path, task, 'validationBytes', (at, v) => integerAt(at, v, 2));
  }
  return kind;
}

function checkModel(path: string, value: unknown, whole: boolean): void {
  const model = objectAt(path, value, [
    'dModel',
    'nLayer',
    'norm',
    'normEpsilon',
    'tieEmbeddings',
    'padVocabSizeMultiple',
  ]);
  for (const key of ['dModel', 'nLayer'])
    if (whole || model[key] !== undefined) integerAt(`${path}.${key}`, model[key], 1);
  optional(path, model, 'norm', (at, v) => choiceAt(at, v, ['rms', 'layer']));
  optional(path, model, 'normEpsilon', (at, v) => numberAt(at, v, 0, 1));
  optional(path, model, 'padVocabSizeMultiple', (at, v) => integerAt(at, v, 1));
  const { tieEmbeddings } = model;
  if (tieEmbeddings !== undefined && typeof tieEmbeddings !== 'boolean')
    refuse(`${path}.tieEmbeddings`, tieEmbeddings, 'true or false');
}

function checkTraining(path: string, value: unknown, whole: boolean): void {
  const keys = [
    'steps',
    'batch',
    'learningRate',
    'warmup',
    'schedule',
    'weightDecay',
    'beta2',
    'clipNorm',
    'validations',
  ];
  const training = objectAt(path, value, keys);
  for (const key of ['steps', 'batch'])
    if (whole || training[key] !== undefined) integerAt(`${path}.${key}`, training[key], 1);
  if (whole || training.learningRate !== undefined) numberAt(`${path}.learningRate`, training.learningRate, 0, 10);
  optional(path, training, 'warmup', (at, v) => integerAt(at, v, 0));
  optional(path, training, 'schedule', (at, v) => choiceAt(at, v, ['constant', 'linear', 'cosine']));
  optional(path, training, 'weightDecay', (at, v) => numberAt(at, v, 0, Infinity, true));
  optional(path, training, 'beta2', (at, v) => numberAt(at, v, 0, 1));
  if (training.clipNorm !== null) optional(path, training, 'clipNorm', (at, v) => numberAt(at, v, 0, Infinity));
  optional(path, training, 'validations', (at, v) => integerAt(at, v, 1));
}

function checkSample(path: string, value: unknown): void {
  const sample = objectAt(path, value, ['prompt', 'bytes', 'temperature', 'topK', 'topP']);
  textAt(`${path}.prompt`, sample.prompt);
  integerAt(`${path}.bytes`, sample.bytes, 1);
  optional(path, sample, 'temperature', (at, v) => numberAt(at, v, 0, Infinity, true));
  optional(path, sample, 'topK', (at, v) => integerAt(at, v, 1));
  if (sample.topP !== undefined && !(numberAt(`${path}.topP`, sample.topP, 0, 1, true) > 0)) {
    throw new UsageError(`${path}.topP is ${show(sample.topP)}, expected a number above 0`);
  }
}

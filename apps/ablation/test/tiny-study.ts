import type { Study } from '../src/study/study';

/** Everything a study can have, in a second. */
export const tinyStudy: Study = {
  title: 'Tiny',
  parts: [
    {
      title: 'Copying',
      why: 'To see whether it runs.',
      paperScale: 'context 4,096',
      task: { kind: 'selective-copying', contextLength: 12, dataTokens: 2, vocabSize: 8, validationRows: 20 },
      model: { dModel: 8, nLayer: 1 },
      training: { steps: 6, batch: 4, learningRate: 1e-2, warmup: 2, validations: 2 },
      rows: [
        { block: 'plain', layer: 's4d', paper: '18.3 %' },
        { block: 'mamba', layer: { kind: 's6', dState: 4 } },
      ],
    },
    {
      title: 'Text',
      task: { kind: 'text', file: 'tiny.txt', length: 16, validationFraction: 0.2 },
      model: { dModel: 8, nLayer: 1 },
      training: { steps: 5, batch: 4, learningRate: 1e-2, schedule: 'linear', clipNorm: null },
      rows: [{ block: 'mamba', layer: 's6' }],
      sample: { prompt: 'the ', bytes: 12, temperature: 1 },
    },
  ],
};

// The study that `npm start` runs. To make your own: copy this file, change or add a line of `rows`, and
//   npm start -- --config my-study.mjs
//
// block: 'plain', 'mamba', or { kind: 'mamba', expand: 1 }
// layer: 's4d', 's6', or with settings { kind: 's6', dState: 8, selective: { B: false } }
// A row may change the part's settings for itself: { block: 'mamba', layer: 's6', training: { learningRate: 1e-3 } }

/** @type {import('../src/study/study').Study} */
export default {
  title: 'What selection buys: S4D against S6',
  lead: 'Mamba lets its state space layer decide, token by token, what to remember. We swap that layer in and out and see what it does.',
  parts: [
    {
      title: 'Selective copying',
      why: 'Some tokens matter, most are noise, and nobody says where. A layer with fixed dynamics (S4D) treats every token alike; a selective one (S6) can let the noise pass and keep the rest.',
      paperScale: 'context 4,096 · 16 data tokens · vocabulary 16 · width 64 · 2 layers · 400,000 steps of 64 rows',
      task: { kind: 'selective-copying', contextLength: 64, dataTokens: 4, vocabSize: 16 },
      model: { dModel: 64, nLayer: 2, tieEmbeddings: false },
      training: { steps: 1200, batch: 32, learningRate: 2e-3, warmup: 100, weightDecay: 0 },
      solvedAt: 0.95,
      // The same state size for both layers. S4D trains its own parameters at its own learning rate, as its authors do.
      rows: [
        { block: 'plain', layer: { kind: 's4d', dState: 16 }, name: 'plain + S4D', paper: '18.3 %' },
        { block: 'mamba', layer: { kind: 's4d', dState: 16 }, name: 'mamba + S4D', paper: '56.4 %' },
        { block: 'plain', layer: { kind: 's6', dState: 16 }, name: 'plain + S6', paper: '97.0 %' },
        { block: 'mamba', layer: { kind: 's6', dState: 16 }, name: 'mamba + S6', paper: '99.8 %' },
      ],
    },
    {
      title: 'Real text: Shakespeare, byte by byte',
      why: 'The same model as a language model: it predicts each byte from those before it. Fewer bits per byte mean a better prediction.',
      task: { kind: 'text', file: '../data/tinyshakespeare.txt', length: 128, validationBytes: 65536 },
      model: { dModel: 64, nLayer: 2 },
      training: { steps: 600, batch: 16, learningRate: 4e-3, warmup: 50, weightDecay: 0.1, validations: 4 },
      rows: [{ block: 'mamba', layer: 's6' }],
      sample: { prompt: 'ROMEO:\n', bytes: 400, temperature: 0.7 },
    },
  ],
};

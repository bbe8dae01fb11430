// Induction heads (Mamba, §4.1.2): what followed the special token when it came first?
//   npm start -- --config apps/ablation/configs/induction-heads.mjs

/** @type {import('../src/study/study').Study} */
export default {
  title: 'Induction heads: S4D against S6',
  lead: 'To recall what followed a token, a layer has to notice that token, keep what comes next, and let the rest pass.',
  parts: [
    {
      title: 'Recall at one distance after another',
      why: 'The special token stands anywhere in the row; the answer is asked for at its end. Only that last prediction is scored.',
      paperScale: 'length 256 · vocabulary 16 · width 64 · 2 layers · 204,800 steps of 8 rows',
      task: { kind: 'induction-heads', length: 64, vocabSize: 16 },
      model: { dModel: 64, nLayer: 2, tieEmbeddings: false },
      training: { steps: 2000, batch: 16, learningRate: 4e-3, warmup: 100, beta2: 0.95 },
      solvedAt: 0.95,
      rows: [
        { block: 'mamba', layer: { kind: 's4d', dState: 16 }, name: 'mamba + S4D' },
        { block: 'mamba', layer: { kind: 's6', dState: 16 }, name: 'mamba + S6', paper: '100 %' },
      ],
    },
  ],
};

// Which part of the selection matters? Rows after Mamba's table 7: Δ, B and C depend on the input, one by one. The paper measures perplexity of
// 350M-parameter language models; here it is selective copying.
//   npm start -- --config apps/ablation/configs/selection-parts.mjs

/** Rows of one table differ in one setting: a function saves writing the rest. */
const row = (name, selective, paper) => ({ name, paper: `${paper} ppl`, block: 'mamba', layer: { kind: 's6', dState: 16, selective } });

/** @type {import('../src/study/study').Study} */
export default {
  title: 'Which part of the selection matters?',
  lead: 'S6 makes three of its parameters depend on the input: the time step Δ, what is written into the state (B), and what is read from it (C).',
  parts: [
    {
      title: 'Selective copying',
      why: 'To let noise pass, a layer must decide what to write. Δ decides whether the state takes a token in at all; B and C decide how.',
      task: { kind: 'selective-copying', contextLength: 64, dataTokens: 6, vocabSize: 16 },
      model: { dModel: 64, nLayer: 2, tieEmbeddings: false },
      training: { steps: 2000, batch: 16, learningRate: 8e-3, warmup: 100, beta2: 0.95 },
      solvedAt: 0.95,
      rows: [
        row('none', { delta: false, B: false, C: false }, '10.93'),
        row('B', { delta: false, B: true, C: false }, '10.15'),
        row('C', { delta: false, B: false, C: true }, '9.98'),
        row('Δ', { delta: true, B: false, C: false }, '9.81'),
        row('Δ, B and C', { delta: true, B: true, C: true }, '8.71'),
      ],
    },
  ],
};

import {
  AdamW,
  clipGradientNorm,
  Conv1d,
  crossEntropyLoss,
  Embedding,
  joinState,
  Linear,
  loadStateDict,
  Module,
  RMSNorm,
  saveStateDict,
} from '@mamba-ts/nn';
import {
  compile,
  cpu,
  type Device,
  grad,
  RandomGenerator,
  realize,
  scope,
  setDefaultDevice,
  silu,
  type Tensor,
  tensor,
} from '@mamba-ts/tensor';
import { fusingReference } from '@mamba-ts/tensor/conformance';
import { describe, expect, it } from 'vitest';
import { expectClose, onEachDevice } from './devices';

class Model extends Module {
  readonly embedding: Embedding;
  readonly norm: RMSNorm = new RMSNorm(6);
  readonly conv1d: Conv1d;
  readonly in_proj: Linear;
  readonly out_proj: Linear;
  constructor(random: RandomGenerator, tied = false) {
    super();
    this.embedding = new Embedding(11, 6, random);
    this.conv1d = new Conv1d(6, 4, random);
    this.in_proj = new Linear(6, 6, random);
    this.out_proj = new Linear(6, 11, random, { bias: false });
    if (!tied) return;
    this.out_proj.weight.dispose();
    (this.out_proj as { weight: Tensor }).weight = this.embedding.weight;
  }
  forward(ids: Tensor): Tensor {
    const x = this.embedding.forward(ids);
    const mixed = silu(this.in_proj.forward(this.conv1d.forward(this.norm.forward(x))));
    return this.out_proj.forward(x.add(mixed));
  }
}

const batch = (): [Tensor, Tensor] => [
  tensor(
    [
      [1, 2, 3, 4, 5],
      [6, 7, 8, 9, 10],
    ],
    { dtype: 'int32' },
  ),
  tensor(
    [
      [2, 3, 4, 5, 6],
      [7, 8, 9, 10, -100],
    ],
    { dtype: 'int32' },
  ),
];

interface Training {
  readonly model: Model;
  readonly optimizer: AdamW;
  readonly random: RandomGenerator;
  step(ids: Tensor, targets: Tensor): Tensor;
  eagerStep(ids: Tensor, targets: Tensor): Tensor;
}

function training(seed: number, clip: number | null = 1, tied = false): Training {
  const random = new RandomGenerator(seed);
  const model = new Model(random, tied);
  const optimizer = new AdamW(model.parameters(), {
    learningRate: 0.02,
    groups: [{ match: /bias$|norm/, weightDecay: 0 }],
  });
  const gradients = (ids: Tensor, targets: Tensor): [Tensor, Tensor[]] => {
    const loss = crossEntropyLoss(model.forward(ids), targets);
    const all = grad(loss, optimizer.parameters);
    return [loss, clip === null ? all : clipGradientNorm(all, clip).gradients];
  };
  const step = (ids: Tensor, targets: Tensor): Tensor => {
    const [loss, all] = gradients(ids, targets);
    optimizer.update(all);
    return loss;
  };
  const eagerStep = (ids: Tensor, targets: Tensor): Tensor =>
    scope(() => {
      const [loss, all] = gradients(ids, targets);
      realize(loss, ...all);
      optimizer.update(all);
      return loss;
    });
  return { model, optimizer, random, step, eagerStep };
}

onEachDevice('a training step', (on) => {
  for (const tied of [false, true]) {
    it(`learns, compiled as at once${tied ? ', with tied weights' : ''}`, async () => {
      const [ids, targets] = batch();
      const one = training(1, 1, tied);
      const other = training(1, 1, tied);
      const step = compile(one.step);
      const losses: number[] = [];
      for (let i = 0; i < 12; i++) {
        losses.push(await step(ids, targets).item());
        const loss = other.eagerStep(ids, targets);
        expectClose([await loss.item()], [losses[i]], 20 * on.tolerance);
        loss.dispose();
      }
      expect(losses[0]).toBeGreaterThan(2.2);
      expect(losses[11]).toBeLessThan(0.8 * losses[0]);
      for (const x of [
        ids,
        targets,
        step,
        one.optimizer,
        one.model,
        one.random,
        other.optimizer,
        other.model,
        other.random,
      ])
        x.dispose();
      expect(on.device.memory().buffers).toBe(0);
    });
  }

  it('resumes from a checkpoint as if it had not stopped', async () => {
    const [ids, targets] = batch();
    const run = training(2);
    const step = compile(run.step);
    for (let i = 0; i < 3; i++) await step(ids, targets).item();
    const file = await saveStateDict(
      joinState({ model: run.model, optimizer: run.optimizer, random: run.random.state }),
    );
    const resumed = training(77);
    const report = loadStateDict(
      joinState({ model: resumed.model, optimizer: resumed.optimizer, random: resumed.random.state }),
      file,
    );
    expect(report.loaded).toContain('optimizer.secondMoment.conv1d.weight');
    expect(report.loaded.length).toBe(7 + 1 + 2 * 7 + 1);
    const again = compile(resumed.step);
    // The reference device computes in float64, the file keeps float32; elsewhere the runs are the same to the last
    // bit.
    const tolerance = on.device.name === 'reference' ? 1e-5 : 0;
    for (let i = 0; i < 4; i++) {
      const expected = await step(ids, targets).item();
      expectClose([await again(ids, targets).item()], [expected], tolerance);
    }
    expect(await resumed.random.state.data()).toEqual(await run.random.state.data());
    for (const x of [
      ids,
      targets,
      step,
      again,
      run.optimizer,
      run.model,
      run.random,
      resumed.optimizer,
      resumed.model,
      resumed.random,
    ])
      x.dispose();
  });
});

describe('the program of a training step', () => {
  const makers: readonly [string, () => Promise<Device>][] = [
    ['fusing reference', fusingReference],
    ['cpu', () => cpu({ threads: 1 })],
  ];
  for (const [name, make] of makers) {
    for (const clip of [null, 1]) {
      it(`one kernel per parameter, no copies, scalars once (${name}${clip ? ', clipping' : ''})`, async () => {
        const device = await make();
        const previous = setDefaultDevice(device);
        const [ids, targets] = batch();
        const run = training(1, clip);
        const step = compile(run.step);
        const forward = compile((i: Tensor, t: Tensor) => {
          const loss = crossEntropyLoss(run.model.forward(i), t);
          const gradients = grad(loss, run.optimizer.parameters);
          return { loss, gradients: clip === null ? gradients : clipGradientNorm(gradients, clip).gradients };
        });
        await step(ids, targets).item();
        await forward(ids, targets).loss.item();
        const [program] = step.explain();
        expect(program.steps.filter((s) => s.what === 'copy')).toEqual([]);
        // Bias corrections raise β to the power t by expm1: only the kernel of the scalars does.
        const scalars = program.steps.filter((s) => s.what.includes('expm1'));
        expect(scalars.map((s) => s.shape)).toEqual(['()']);
        const updates = program.steps.filter(
          (s) => s.what.includes('sqrt') && s.what.includes('div') && !s.what.includes('expm1') && s.shape !== '()',
        );
        expect(updates.length).toBe(run.optimizer.parameters.length);
        // Gradients alone: scaling the gradients is part of the updates above, a kernel per parameter here. A device whose
        // products absorb updates, and what stands before them, has fewer kernels.
        const added = program.kernels - forward.explain()[0].kernels;
        const most = clip === null ? run.optimizer.parameters.length + 1 : 1;
        if (device.backend.absorbsEpilogue && clip === null) expect(added).toBeLessThan(most);
        else expect(added).toBe(most);
        expect(program.routines).toBe(forward.explain()[0].routines);
        for (const x of [ids, targets, step, forward, run.optimizer, run.model, run.random]) x.dispose();
        expect(device.memory().buffers).toBe(0);
        setDefaultDevice(previous);
        device.dispose();
      });
    }
  }
});

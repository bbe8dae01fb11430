import { generate, LanguageModel } from '@mamba-ts/models';
import { AdamW, clipGradientNorm, crossEntropyLoss, Dropout } from '@mamba-ts/nn';
import { CounterRandom } from '@mamba-ts/tasks';
import { checkpoint, compile, type CompiledStep, type Device, grad, RandomGenerator, scope, setDefaultDevice, silu, type Tensor, type Variable, variable, zeros } from '@mamba-ts/tensor';

/** The same small training run, whatever the device: what it starts from, its losses, and what the trained model then says. */
export interface TrainingRun {
  /** All parameters before the first step, by path. */
  readonly initial: ReadonlyMap<string, Float64Array>;
  readonly losses: readonly number[];
  /** Tokens sampled from the trained model, with a seed. */
  readonly samples: readonly number[];
}

const vocabSize = 8;
const batch = 4;
const length = 12;

/** A Mamba of two layers that learns to add up neighbouring tokens, with dropout in front of the head. */
class SmallTraining {
  private readonly random: RandomGenerator;
  readonly model: LanguageModel;
  private readonly dropout: Dropout;
  private readonly optimizer: AdamW;
  private readonly ids: Variable;
  private readonly targets: Variable;
  private readonly step: CompiledStep<[], Tensor>;
  private done = 0;

  constructor(device: Device) {
    this.random = new RandomGenerator(17, device);
    this.model = new LanguageModel({ vocabSize, dModel: 12, nLayer: 2, block: 'mamba', layer: { kind: 's6', dState: 4 } }, this.random);
    this.dropout = new Dropout(0.1, this.random);
    this.optimizer = new AdamW(this.model.parameters(), { learningRate: 1e-2 });
    [this.ids, this.targets] = scope(() => [0, 1].map(() => variable(zeros([batch, length], { device, dtype: 'int32' }))));
    this.step = compile(() => {
      const logits = this.model.lm_head.forward(this.dropout.forward(this.model.backbone.forward(this.ids)));
      const loss = crossEntropyLoss(logits, this.targets, { ignoreIndex: -100 });
      const { gradients } = clipGradientNorm(grad(loss, this.optimizer.parameters), 1);
      this.optimizer.update(gradients);
      return loss;
    });
  }

  /** The loss stays on the device. */
  run(): Tensor {
    const random = new CounterRandom(5, 0, this.done++);
    const ids = Int32Array.from({ length: batch * length }, () => random.below(vocabSize / 2));
    this.ids.write(ids);
    this.targets.write(ids.map((id, i) => id + (i % length === 0 ? 0 : ids[i - 1])));
    return this.step();
  }

  get report(): ReturnType<CompiledStep<[], Tensor>['explain']>[number] {
    return this.step.explain()[0];
  }

  dispose(): void {
    for (const t of [this.step, this.optimizer, this.ids, this.targets, this.model, this.random]) t.dispose();
  }
}

/** Trains for `steps` steps on a device. */
export async function trainingRun(device: Device, steps: number): Promise<TrainingRun> {
  const previous = setDefaultDevice(device);
  const training = new SmallTraining(device);
  try {
    const initial = new Map<string, Float64Array>();
    for (const [path, parameter] of training.model.parameters()) initial.set(path, Float64Array.from(await parameter.data()));
    const losses: number[] = [];
    for (let i = 0; i < steps; i++) losses.push(await training.run().item());
    const samples: number[] = [];
    for await (const { token } of generate(training.model, [1, 2, 3], { maxNewTokens: 24, seed: 9, temperature: 1 })) samples.push(token);
    return { initial, losses, samples };
  } finally {
    training.dispose();
    setDefaultDevice(previous);
  }
}

/** Device memory before and after many steps, the first few left out; and the planned peak of one. */
export async function memoryOver(device: Device, steps: number): Promise<{ readonly before: unknown; readonly after: unknown; readonly peakBytes: number; readonly arenaBytes: number }> {
  const previous = setDefaultDevice(device);
  const training = new SmallTraining(device);
  try {
    for (let i = 0; i < 3; i++) await training.run().item();
    const before = device.memory();
    for (let i = 0; i < steps; i++) training.run();
    await device.synchronize();
    return { before, after: device.memory(), peakBytes: training.report.peakBytes, arenaBytes: training.report.arenaBytes };
  } finally {
    training.dispose();
    setDefaultDevice(previous);
  }
}

export const chain: { readonly layers: number; readonly rows: number; readonly width: number } = { layers: 12, rows: 512, width: 32 };

/** Planned temporaries of a backward pass through a chain of layers, kept as they are or recomputed in pieces of `piece` layers; and its gradient. */
export async function chainGradient(device: Device, piece: number | null): Promise<{ readonly arenaBytes: number; readonly gradient: ArrayLike<number> }> {
  const random = new RandomGenerator(3, device);
  const { x, w } = scope(() => ({ x: random.uniform([chain.rows, chain.width]).realize(), w: variable(random.uniform([chain.width, chain.width]).sub(0.5).mul(0.4)) }));
  const layer = (h: Tensor): Tensor => silu(h.matmul(w)).add(h.mul(0.5)).tanh();
  const step = compile(() => {
    let h: Tensor = x;
    for (let first = 0; first < chain.layers; first += piece ?? chain.layers) {
      const through = (start: Tensor): Tensor => {
        let y = start;
        for (let i = first; i < Math.min(chain.layers, first + (piece ?? chain.layers)); i++) y = layer(y);
        return y;
      };
      h = piece === null ? through(h) : checkpoint(through, [h]);
    }
    return grad(h.square().mean(), [w])[0];
  });
  const gradient = await step().data();
  const { arenaBytes } = step.explain()[0];
  for (const t of [step, x, w, random]) t.dispose();
  return { arenaBytes, gradient };
}

/** Dropout masks and uniforms of a seed: what every device must draw bit for bit. */
export async function draws(device: Device): Promise<number[]> {
  const random = new RandomGenerator(21, device);
  const list = scope(() => [random.bernoulli([7, 33], 0.9), random.uniform([64]), random.bits([16]), random.integers([16], 0, 100)].map((t) => t.realize()));
  const values: number[] = [];
  for (const t of list) {
    values.push(...(await t.data()));
    t.dispose();
  }
  random.dispose();
  return values;
}

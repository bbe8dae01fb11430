import { AdamW, SafetensorsError, saveStateDict, schedules } from '@mamba-ts/nn';
import { type Device, gather, nodesCreated, tensor } from '@mamba-ts/tensor';
import {
  DivergedError,
  Evaluator,
  Trainer,
  trainer,
  type TrainerOptions,
  TrainingError,
  type TrainingProgress,
} from '@mamba-ts/train';
import { describe, expect, test } from 'vitest';
import { devices, TinyModel, TinyTask } from './tiny-model';

const classes = 8;

interface Run {
  model: TinyModel;
  optimizer: AdamW;
  loop: Trainer;
  task: TinyTask;
}

function start(device: Device, options: Partial<TrainerOptions> & { learningRate?: number } = {}): Run {
  const model = new TinyModel(classes, device);
  const optimizer = new AdamW(model.parameters(), { learningRate: options.learningRate ?? 0.03 });
  const task = new TinyTask(classes);
  const loop = trainer({
    model,
    task,
    optimizer,
    steps: 60,
    batch: 4,
    schedule: schedules.linearWarmup(5),
    ...options,
  });
  return { model, optimizer, loop, task };
}

function end({ model, optimizer, loop }: Run): void {
  loop.dispose();
  optimizer.dispose();
  model.dispose();
}

describe.each(devices)('training loop on %s', (_name, make) => {
  test('learns, validates and frees everything', async () => {
    const device = await make();
    const before = device.memory();
    const events: TrainingProgress[] = [];
    const run = start(device, { steps: 150, validateEvery: 50, onProgress: (p) => events.push(p) });
    const result = await run.loop.run();
    expect(result.finished).toBe(true);
    expect(result.history.step).toEqual(Array.from({ length: 150 }, (_, i) => i + 1));
    expect(result.history.loss[0]).toBeCloseTo(Math.log(classes), 0);
    expect([result.validation!.accuracy, result.validation!.rowAccuracy]).toEqual([1, 1]);
    expect(result.validation!.loss).toBeLessThan(0.1);
    // Two rows in three of 7 positions twice, and one padded batch: 4 · 7 and 1 · 7 positions, every third not scored.
    expect(result.validation!.scored).toBe(19 + 5);
    expect(result.history.validations.map((v) => v.step)).toEqual([50, 100, 150]);
    expect(events.filter((p) => p.validation).map((p) => p.step)).toEqual([50, 100, 150]);
    expect(events.filter((p) => !p.validation).map((p) => p.step)).toEqual(result.history.step);
    expect(result.tokensPerSecond).toBeGreaterThan(0);
    end(run);
    expect(device.memory()).toMatchObject({ buffers: before.buffers, bytes: before.bytes });
    device.dispose();
  });

  test('steps after the first allocate nothing and make no graph nodes', async () => {
    const device = await make();
    const counts: [number, number][] = [];
    const run = start(device, {
      steps: 12,
      onProgress: () => counts.push([device.memory().allocations, nodesCreated()]),
    });
    await run.loop.run();
    const steady = counts.slice(1, 12);
    expect(new Set(steady.map(([allocations]) => allocations)).size).toBe(1);
    expect(new Set(steady.map(([, nodes]) => nodes)).size).toBe(1);
    end(run);
    device.dispose();
  });

  test('the first update is that of the loss by hand: mean over scored positions', async () => {
    const device = await make();
    const run = start(device, { steps: 1 });
    const { inputs, targets } = run.task.trainBatch(0, 4);
    const { embedding, head } = run.model;
    const [table, weight, bias] = await Promise.all([embedding.weight.data(), head.weight.data(), head.bias!.data()]);
    let nats = 0;
    let scored = 0;
    for (let i = 0; i < inputs.length; i++) {
      if (targets[i] < 0) continue;
      const logits = Array.from({ length: classes }, (_, c) => {
        let sum = bias[c] as number;
        for (let k = 0; k < 6; k++) sum += (weight[c * 6 + k] as number) * (table[inputs[i] * 6 + k] as number);
        return sum;
      });
      nats += Math.log(logits.reduce((sum, z) => sum + Math.exp(z), 0)) - logits[targets[i]];
      scored++;
    }
    const { history } = await run.loop.run();
    expect(history.loss[0]).toBeCloseTo(nats / scored, 5);
    end(run);
    device.dispose();
  });
});

describe('resume', () => {
  test('stopped, saved and loaded into a new run, it goes on bit for bit', async () => {
    const [, make] = devices[1];
    const device = await make();
    const whole = start(device, { steps: 40, validateEvery: 16 });
    const expected = await whole.loop.run();

    const controller = new AbortController();
    const options = { steps: 40, validateEvery: 16 };
    const first = start(device, {
      ...options,
      signal: controller.signal,
      onProgress: (p) => p.step === 23 && controller.abort(),
    });
    const stopped = await first.loop.run();
    expect([stopped.finished, stopped.step]).toEqual([false, 23]);
    const file = await first.loop.save();

    const second = start(device, options);
    // Not where the first one began: everything must come from the file.
    await trainer({ ...options, ...second, steps: 3, batch: 4, task: second.task }).run();
    second.loop.load(file);
    expect(second.loop.step).toBe(23);
    second.task.asked.length = 0;
    const resumed = await second.loop.run();
    expect(second.task.asked).toEqual(Array.from({ length: 17 }, (_, i) => 23 + i));
    expect(resumed.history).toEqual(expected.history);
    expect(await saveStateDict(second.model)).toEqual(await saveStateDict(whole.model));
    expect(await saveStateDict(second.optimizer)).toEqual(await saveStateDict(whole.optimizer));
    for (const run of [whole, first, second]) end(run);
    device.dispose();
  });

  test('files that do not fit are refused, and change nothing', async () => {
    const device = await devices[1][1]();
    const run = start(device);
    const other = start(device, { batch: 5 });
    const file = await other.loop.save();
    const before = await saveStateDict(run.model);
    expect(() => run.loop.load(file)).toThrow("load: the checkpoint's batch is 5, expected 4");
    expect(() => run.loop.load(before)).toThrow("load: the file's format is null");
    expect(() => run.loop.load(file.subarray(0, 100))).toThrow(SafetensorsError);
    expect(await saveStateDict(run.model)).toEqual(before);
    end(run);
    end(other);
    device.dispose();
  });
});

describe('ends early', () => {
  test('an abort stops after the update in hand, and other work gets its turn', async () => {
    const device = await devices[1][1]();
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), 60);
    const run = start(device, { steps: 10_000_000, signal: controller.signal });
    const result = await run.loop.run();
    clearTimeout(timer);
    expect(result.finished).toBe(false);
    expect(result.step).toBeGreaterThan(0);
    expect(result.validation).toBeNull();
    end(run);
    device.dispose();
  });

  test('a loss that is not finite is an error that names the step', async () => {
    const device = await devices[1][1]();
    const run = start(device, { clipNorm: null });
    run.model.head.weight.write(new Float32Array(run.model.head.weight.size).fill(NaN));
    const error = await run.loop.run().catch((e: unknown) => e);
    expect(error).toBeInstanceOf(DivergedError);
    expect((error as DivergedError).step).toBe(1);
    expect(run.loop.result().history.step).toEqual([1]);
    end(run);
    device.dispose();
  });

  test('arguments are refused by name', async () => {
    const device = await devices[1][1]();
    expect(() => start(device, { steps: -1 })).toThrow('trainer: steps is -1, expected an integer >= 0');
    expect(() => start(device, { batch: 1.5 })).toThrow(TrainingError);
    expect(() => start(device, { validateEvery: 0 })).toThrow('validateEvery is 0');
    device.dispose();
  });
});

describe.each(devices)('evaluator on %s', (_name, make) => {
  test('counts tokens and rows; padded rows and positions that are not scored don\'t count', async () => {
    const device = await make();
    // Always says the token it sees.
    const table = tensor([[9, 0, 0], [0, 9, 0], [0, 0, 9]], { device });
    const evaluator = new Evaluator((ids) => gather(table, ids), 3, 2, device);
    const batches = [
      { inputs: Int32Array.of(0, 1, 2, 1, 1, 2), targets: Int32Array.of(0, 1, 2, 0, 0, -100) },
      { inputs: Int32Array.of(2, 2, 0, 0, 0, 0), targets: Int32Array.of(-100, 2, -100, -100, -100, -100) },
    ];
    const score = await evaluator.score(batches);
    expect(score).toMatchObject({ scored: 6, accuracy: 4 / 6, rowAccuracy: 2 / 4 });
    const rest = Math.log(1 + 2 * Math.exp(-9));
    expect(score!.loss).toBeCloseTo((4 * rest + 2 * (9 + rest)) / 6, 5);
    evaluator.dispose();
    table.dispose();
    expect(device.memory()).toMatchObject({ buffers: 0, bytes: 0 });
    device.dispose();
  });
});

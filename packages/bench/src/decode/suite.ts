import { Decoder, generate, LanguageModel, type LanguageModelConfig } from '@mamba-ts/models';
import { convertWeights } from '@mamba-ts/nn';
import { cpu, type Device, RandomGenerator, setDefaultDevice } from '@mamba-ts/tensor';
import { summarize, type Timing } from '../measure';
import type { Measurement } from '../results';
import type { MambaSizes } from './gguf';
import { GreedyStep } from './greedy-step';
import { measureLlamaCpp, type PeerTimes } from './llama-cpp';
import { MemoryFloor } from './memory-floor';

export type WeightType = 'float32' | 'bfloat16' | 'float16';

export interface DecodeOptions {
  readonly dtypes: readonly WeightType[];
  /** Compared with one thread. */
  readonly threads: number;
  /** Milliseconds that each figure may take. */
  readonly budget: number;
  readonly promptLength: number;
  /** Tokens of a `generate` call. */
  readonly newTokens: number;
  /** Measures llama.cpp in the same run: its times are the bars then. */
  readonly llamaCpp?: { readonly folder: string; readonly sizes: MambaSizes };
}

/** What llama.cpp is measured with: for 16 bits its float16, which can be the faster, and the same type too. */
const peerTypes: Readonly<Record<WeightType, readonly WeightType[]>> = {
  float32: ['float32'],
  bfloat16: ['bfloat16', 'float16'],
  float16: ['float16'],
};

/** What llama.cpp (node-llama-cpp 3.22) took for random weights of the 130m shape on some 2-core machine, in ms: the bars without `llamaCpp`. */
const quoted = { token: { float32: 26, bfloat16: 17, float16: 17 }, prefill512: 2350 };
/** Share of the memory floor that a token must reach. */
const floorShare = 0.75;

/** Decoding and prefill of one model shape with random weights, on one thread and on `threads`. */
export async function runDecodeSuite(
  config: LanguageModelConfig,
  isPeerShape: boolean,
  options: DecodeOptions,
  onResult: (m: Measurement) => void,
): Promise<{ device: string; measurements: Measurement[] }> {
  const measurements: Measurement[] = [];
  let description = '';
  for (const threads of options.threads > 1 ? [1, options.threads] : [1]) {
    const device = await cpu({ threads });
    description = device.backend.description;
    const previous = setDefaultDevice(device);
    for (const dtype of options.dtypes) {
      const random = new RandomGenerator(0);
      const model = new LanguageModel(config, random);
      random.dispose();
      convertWeights(model, dtype);
      const measured: Peer[] = [];
      if (options.llamaCpp) {
        const { folder, sizes } = options.llamaCpp;
        for (const type of peerTypes[dtype])
          measured.push({ type, times: await measureLlamaCpp(folder, sizes, type, { ...options, threads }) });
      }
      const bars = measured.length > 0 ? barsOf(measured) : quotedBars(isPeerShape, dtype, threads, options.promptLength);
      for (const m of [
        ...measured.flatMap((peer) => peerRows(peer, threads, options.promptLength)),
        ...decodeSteps(model, dtype, threads, device, bars, options),
        ...(await wholeCalls(model, dtype, threads, bars, options)),
      ]) {
        const single = measurements.find((x) => x.name === m.name && x.threads === 1);
        const noted = single && threads > 1 ? { ...m, speedup: single.timing.median / m.timing.median } : m;
        measurements.push(noted);
        onResult(noted);
      }
      model.dispose();
    }
    setDefaultDevice(previous);
    device.dispose();
  }
  return { device: description, measurements };
}

/** The peer's times, in ms. */
interface Bars {
  readonly token: number | undefined;
  readonly prefill: number | undefined;
}

/** The faster of its types in each figure. */
function barsOf(peers: readonly Peer[]): Bars {
  const fastest = (figure: keyof PeerTimes): number => Math.min(...peers.map(({ times }) => times[figure].median));
  return { token: fastest('token'), prefill: fastest('prefill') };
}

function quotedBars(isPeerShape: boolean, dtype: WeightType, threads: number, promptLength: number): Bars {
  return {
    token: isPeerShape ? quoted.token[dtype] : undefined,
    prefill: isPeerShape && promptLength === 512 && threads === 2 ? quoted.prefill512 : undefined,
  };
}

interface Peer {
  readonly type: WeightType;
  readonly times: PeerTimes;
}

function peerRows(
  { type, times: { token, prefill } }: Peer,
  threads: number,
  promptLength: number,
): Measurement[] {
  return [
    {
      name: `llama.cpp: one token, ${type} weights`,
      threads,
      timing: token,
      rate: { value: 1000 / token.median, unit: 'tokens/s' },
    },
    {
      name: `llama.cpp: prefill of ${promptLength} tokens, ${type} weights`,
      threads,
      timing: prefill,
      rate: { value: (1000 * promptLength) / prefill.median, unit: 'tokens/s' },
    },
  ];
}

/** The compiled step beside the memory floor: in turns, so that a disturbance meets both. */
function decodeSteps(
  model: LanguageModel,
  dtype: WeightType,
  threads: number,
  device: Device,
  bars: Bars,
  options: DecodeOptions,
): Measurement[] {
  const bytes = [...model.parameters().values()].reduce((n, v) => n + v.byteLength, 0);
  const step = new GreedyStep(model);
  const floor = new MemoryFloor(bytes);
  const runs = [() => step.run(), ...floor.passes.map(({ read }) => read)];
  for (let i = 0; i < 3; i++) for (const run of runs) run();
  step.checkReplay(device);
  const [stepTimes, ...passTimes] = alternate(runs, options.budget);
  const [fastest] = floor.passes
    .map(({ streams }, i) => ({ streams, timing: passTimes[i] }))
    .sort((a, b) => a.timing.median - b.timing.median);
  const floorTimes = fastest.timing;
  const { kernels, routines } = step.report;
  step.dispose();
  floor.dispose();
  const allowed = floorTimes.median / floorShare;
  return [
    {
      name: `memory floor, ${dtype} weights`,
      threads,
      timing: floorTimes,
      rate: { value: bytes / floorTimes.median / 1e6, unit: 'GB/s' },
      note: `read-only pass over ${(bytes / 2 ** 20).toFixed(0)} MiB, ${fastest.streams === 1 ? 'one stream' : `${fastest.streams} streams`} a thread`,
    },
    {
      name: `one token, ${dtype} weights`,
      threads,
      timing: stepTimes,
      rate: { value: 1000 / stepTimes.median, unit: 'tokens/s' },
      bar: { atMostMs: Number(Math.min(allowed, bars.token ?? allowed).toFixed(2)) },
      note: `${((100 * floorTimes.median) / stepTimes.median).toFixed(0)} % of the floor, ${kernels} kernels, ${routines} routines`,
    },
  ];
}

/** Calls `runs` in turns until the budget of each is spent. */
function alternate(runs: readonly (() => void)[], budget: number): Timing[] {
  const times = runs.map((): number[] => []);
  const end = performance.now() + budget * runs.length;
  while (times[0].length < 5 || performance.now() < end) {
    runs.forEach((run, i) => {
      const before = performance.now();
      run();
      times[i].push(performance.now() - before);
    });
  }
  return times.map(summarize);
}

/** What a user calls: prefill of a prompt, and `generate` with sampling on the host. */
async function wholeCalls(
  model: LanguageModel,
  dtype: WeightType,
  threads: number,
  bars: Bars,
  options: DecodeOptions,
): Promise<Measurement[]> {
  const prompt = Int32Array.from({ length: options.promptLength }, (_, i) => (i * 7919) % model.vocabSize);
  const prefills: number[] = [];
  const end = performance.now() + options.budget;
  while (prefills.length < 3 || (performance.now() < end && prefills.length < 50)) {
    const decoder = new Decoder(model);
    const before = performance.now();
    await decoder.prefill(prompt);
    prefills.push(performance.now() - before);
    decoder.dispose();
  }
  const tokens: number[] = [];
  let before = 0;
  for await (const _ of generate(model, prompt.subarray(0, 4), {
    maxNewTokens: options.newTokens,
    temperature: 0.8,
    topK: 40,
    seed: 1,
  })) {
    // The first token comes with the prompt, the second with tracing and compiling the step.
    if (tokens.length > 0 || before > 0) tokens.push(performance.now() - before);
    before = performance.now();
  }
  const prefill = summarize(prefills);
  const generated = summarize(tokens.slice(1));
  const bar = bars.prefill === undefined ? undefined : { atMostMs: Number(bars.prefill.toFixed(0)) };
  return [
    {
      name: `prefill of ${prompt.length} tokens, ${dtype} weights`,
      threads,
      timing: prefill,
      rate: { value: (1000 * prompt.length) / prefill.median, unit: 'tokens/s' },
      bar,
    },
    {
      name: `generate, ${dtype} weights`,
      threads,
      timing: generated,
      rate: { value: 1000 / generated.median, unit: 'tokens/s' },
      note: 'temperature 0.8, top 40 of the vocabulary, sampled on the host',
    },
  ];
}

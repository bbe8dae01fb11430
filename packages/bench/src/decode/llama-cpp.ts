import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { summarize, type Timing } from '../measure';
import { type MambaSizes, writeRandomGguf } from './gguf';

/** The little of node-llama-cpp that is used. */
interface Sequence {
  clearHistory(): Promise<void>;
  evaluate(tokens: readonly number[], options: { temperature: number; yieldEogToken: boolean }): AsyncIterable<number>;
  evaluateWithoutGeneratingNewTokens(tokens: readonly number[]): Promise<void>;
}
interface Disposable {
  dispose(): Promise<void>;
}
interface Context extends Disposable {
  getSequence(): Sequence;
}
interface Model extends Disposable {
  createContext(options: object): Promise<Context>;
}
interface Llama extends Disposable {
  loadModel(options: object): Promise<Model>;
}

/** Times of llama.cpp for random weights of one shape: of one greedy token, and of a prompt. */
export interface PeerTimes {
  readonly token: Timing;
  readonly prefill: Timing;
}

/**
 * Measures llama.cpp on the CPU through node-llama-cpp, which the user has installed in `folder` (its prebuilt binary is taken, nothing is built).
 *
 * @param budget milliseconds of each figure
 * @throws Error if `folder` has no node-llama-cpp, or it cannot load the model
 */
export async function measureLlamaCpp(
  folder: string,
  sizes: MambaSizes,
  dtype: 'float32' | 'bfloat16' | 'float16',
  {
    threads,
    budget,
    promptLength,
  }: { readonly threads: number; readonly budget: number; readonly promptLength: number },
): Promise<PeerTimes> {
  const entry = pathToFileURL(resolve(folder, 'node_modules/node-llama-cpp/dist/index.js')).href;
  const { getLlama } = (await import(entry)) as { getLlama(options: object): Promise<Llama> };
  const temporary = await mkdtemp(join(tmpdir(), 'mamba-bench-'));
  try {
    const modelPath = join(temporary, 'random.gguf');
    await writeRandomGguf(modelPath, sizes, dtype);
    const llama = await getLlama({
      gpu: false,
      build: 'never',
      logLevel: 'error',
      progressLogs: false,
      maxThreads: threads,
    });
    const model = await llama.loadModel({ modelPath, useMmap: false });
    const context = await model.createContext({
      contextSize: 2 * promptLength,
      batchSize: promptLength,
      threads: { ideal: threads, min: threads },
    });
    const sequence = context.getSequence();
    const prompt = Array.from({ length: promptLength }, (_, i) => (i * 7919) % sizes.vocabSize);
    const prefills: number[] = [];
    for (const end = performance.now() + budget; prefills.length < 3 || performance.now() < end;) {
      await sequence.clearHistory();
      const before = performance.now();
      await sequence.evaluateWithoutGeneratingNewTokens(prompt);
      prefills.push(performance.now() - before);
    }
    const tokens: number[] = [];
    await sequence.clearHistory();
    let before = performance.now();
    const end = before + budget;
    for await (const _ of sequence.evaluate(prompt.slice(0, 4), { temperature: 0, yieldEogToken: true })) {
      const now = performance.now();
      tokens.push(now - before);
      before = now;
      if ((tokens.length > 7 && now > end) || tokens.length >= promptLength) break;
    }
    await llama.dispose();
    // The first token comes with the prompt.
    return { token: summarize(tokens.slice(2)), prefill: summarize(prefills) };
  } finally {
    await rm(temporary, { recursive: true });
  }
}

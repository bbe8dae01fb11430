import { generate, type LanguageModel } from '@mamba-ts/models';
import { ByteTokenizer, StreamDecoder } from '@mamba-ts/tokenizers';
import { Turn } from '@mamba-ts/tensor';
import type { SampleReport } from '../report/study-report';
import type { SampleConfig } from '../study/study';

export interface SampleRun {
  readonly model: LanguageModel;
  readonly config: SampleConfig;
  readonly seed: number;
  readonly signal: AbortSignal;
  /** Gets text as it is generated. */
  readonly write: (text: string) => void;
}

/** Generates text byte by byte with the recurrent step: each byte costs the same, however much came before it. */
export async function streamSample({ model, config, seed, signal, write }: SampleRun): Promise<SampleReport> {
  const { prompt, bytes, temperature = 0, topK, topP } = config;
  const tokenizer = new ByteTokenizer();
  const decoder = new StreamDecoder(tokenizer);
  const turn = new Turn();
  let text = '';
  let count = 0;
  let started = performance.now();
  const show = (piece: string): void => {
    text += piece;
    write(piece);
  };
  for await (const { token } of generate(model, tokenizer.encode(prompt), {
    maxNewTokens: bytes,
    temperature,
    topK,
    topP,
    seed,
  })) {
    // The first byte's time is the prompt's, and the second plans the step.
    if (++count === 2) started = performance.now();
    show(decoder.push(token));
    await turn.pause();
    if (signal.aborted) break;
  }
  show(decoder.flush());
  const bytesPerSecond = count > 2 ? Math.round((count - 2) / ((performance.now() - started) / 1000)) : 0;
  return { prompt, text, bytes: count, temperature, bytesPerSecond };
}

import { type Device, reference } from '@mamba-ts/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Choice,
  generate,
  type GenerateOptions,
  type LanguageModel,
  resumeGeneration,
  type TokenText,
} from '../src/index';
import { StopText } from '../src/generation/stop-text';
import { opinionated } from './generation-models';
import { disposeEmpty } from './harness';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('StopText', () => {
  const push = (stops: string[], parts: (string | Uint8Array)[]): { texts: string[]; stopped: boolean } => {
    const stop = new StopText(stops);
    const texts: string[] = [];
    for (const [i, part] of parts.entries()) {
      const bytes = typeof part === 'string' ? utf8(part) : part;
      const { text, stopped } = stop.push(bytes, i === parts.length - 1);
      texts.push(text);
      if (stopped) return { texts, stopped };
    }
    return { texts, stopped: false };
  };

  it.each<[string, string[], (string | Uint8Array)[], string[], boolean]>([
    ['passes text on', [], ['ab', 'c'], ['ab', 'c'], false],
    ['holds back what may begin a stop string', ['\n\n'], ['a\n', 'b'], ['a', '\nb'], false],
    ['ends before a stop string', ['\n\n'], ['a\n', '\nb'], ['a', ''], true],
    ['ends before the first of several', ['zz', 'cd'], ['abcdzz'], ['ab'], true],
    ['finds one inside of a token', ['or'], ['world'], ['w'], true],
    ['holds back the longest beginning', ['aab'], ['xaa', 'ab'], ['x', 'a'], true],
    ['gives the rest at the end', ['stop'], ['a st', 'o'], ['a ', 'sto'], false],
    ['keeps a code point whole', [], [Uint8Array.of(0xc3), Uint8Array.of(0xa9), 'x'], ['', 'é', 'x'], false],
    ['marks a code point that never ended', [], ['a', Uint8Array.of(0xc3)], ['a', '\ufffd'], false],
    [
      'finds one that was cut in a code point',
      ['é'],
      [Uint8Array.of(0x61, 0xc3), Uint8Array.of(0xa9)],
      ['a', ''],
      true,
    ],
  ])('%s', (_what, stops, parts, texts, stopped) => {
    expect(push(stops, parts)).toEqual({ texts, stopped });
  });
});

describe('generate with a tokenizer', () => {
  const words = ['the ', 'cat', 's ', 'sat', ' on', ' a', ' m', 'at', '.', '\n', 'é'.slice(0, 1), '!', '<end>'];
  const tokenizer: TokenText = { tokenBytes: (id) => utf8(words[id]), isSpecial: (id) => id === 12 };
  let device: Device;
  let model: LanguageModel;
  beforeAll(async () => {
    device = await reference();
    model = await opinionated(device);
  });
  afterAll(() => {
    model.dispose();
    disposeEmpty(device);
  });
  const run = async (options: GenerateOptions): Promise<Choice[]> => {
    const choices: Choice[] = [];
    const settings = { temperature: 8, maxNewTokens: 25, seed: 5, tokenizer, ...options };
    for await (const choice of generate(model, [1, 2], settings)) choices.push(choice);
    return choices;
  };
  const textOf = (choices: readonly Choice[]): string => choices.map(({ text }) => text).join('');

  it('gives the text of the tokens, special ones left out', async () => {
    const choices = await run({});
    expect(textOf(choices)).toBe(choices.map(({ token }) => (token === 12 ? '' : words[token])).join(''));
  });

  it('ends at a stop string that spans tokens, and leaves it out', async () => {
    const whole = textOf(await run({}));
    const stop = whole.slice(10, 16);
    const choices = await run({ stopStrings: ['never there', stop] });
    expect(textOf(choices)).toBe(whole.slice(0, whole.indexOf(stop)));
    expect(choices.at(-1)!.finish).toBe('stopString');
    expect(choices.length).toBeLessThan(25);
  });

  it('resumes in the middle of a possible stop string', async () => {
    const whole = textOf(await run({}));
    const stop = whole.slice(10, 16);
    const expected = textOf(await run({ stopStrings: [stop] }));
    for (const breakAt of [1, 3, 5]) {
      const options = { temperature: 8, tokenizer, stopStrings: [stop] };
      const generation = generate(model, [1, 2], { ...options, seed: 5, maxNewTokens: 25 });
      let text = '';
      for (let i = 0; i < breakAt; i++) text += (await generation.next()).value!.text;
      const snapshot = await generation.snapshot();
      await generation.return();
      for await (const choice of resumeGeneration(model, snapshot, { ...options, maxNewTokens: 25 - breakAt }))
        text += choice.text;
      expect(text).toBe(expected);
    }
  });

  it('lets timers run while it computes', async () => {
    const signal = AbortSignal.timeout(30);
    const endless = async (): Promise<void> => {
      for await (const _ of generate(model, [1], { maxNewTokens: 1e6, signal }));
    };
    await expect(endless()).rejects.toThrow(/timeout/i);
  });

  it('gives all held-back text when a limit ends it', async () => {
    for (let maxNewTokens = 1; maxNewTokens < 8; maxNewTokens++) {
      const choices = await run({ maxNewTokens, stopStrings: [`${words[1]}${words[2]}never`, 'the never'] });
      expect(textOf(choices)).toBe(choices.map(({ token }) => (token === 12 ? '' : words[token])).join(''));
    }
  });
});

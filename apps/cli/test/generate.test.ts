import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mamba, saveTinyModel, temporaryFolder } from './tiny-model';

let folder: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ path: folder, remove } = await temporaryFolder());
  await saveTinyModel(folder);
});
afterAll(() => remove());

const generate = (...args: string[]): ReturnType<typeof mamba> =>
  mamba(['generate', '--model', folder, '--threads', '1', '--ignore-eos', ...args]);
const sampled = ['--temperature', '7', '--seed', '3', '--max-tokens', '30'];

describe('mamba generate', () => {
  it('writes the text, which is that of the tokens in the events', async () => {
    const text = await generate('--prompt', 'abc ab', ...sampled);
    expect(text).toMatchObject({ code: 0, err: '' });
    const json = await generate('--prompt', 'abc ab', ...sampled, '--json', '--logprobs', '2');
    expect(json.code).toBe(0);
    const [start, ...events] = json.events;
    expect(start).toMatchObject({ event: 'start', model: folder, device: 'cpu', dtype: 'float32', promptTokens: [4] });
    const tokens = events.filter(({ event }) => event === 'token');
    expect(tokens.length).toBe(30);
    expect(tokens[0]).toMatchObject({ row: 0, top: [{}, {}] });
    const end = events.at(-1)!;
    expect(end).toMatchObject({ event: 'end', row: 0, finish: 'length', tokens: tokens.map(({ token }) => token) });
    expect(end.text).toBe(tokens.map((e) => e.text).join(''));
    expect(text.out).toBe(`${String(end.text)}\n`);
  });

  it('reads standard input, without its last line feed', async () => {
    const asked = await generate('--prompt', 'ab c', ...sampled);
    const piped = await mamba(['generate', folder, '--ignore-eos', ...sampled], { input: 'ab c\n' });
    expect(piped.out).toBe(asked.out);
  });

  it('repeats itself for a seed, and only for it', async () => {
    const first = await generate('--prompt', 'x', ...sampled);
    expect((await generate('--prompt', 'x', ...sampled)).out).toBe(first.out);
    expect((await generate('--prompt', 'x', ...sampled, '--seed', '4')).out).not.toBe(first.out);
  });

  it('ends at stop texts, stop tokens, and the end of text', async () => {
    const { events } = await generate('--prompt', 'x', ...sampled, '--json');
    const { text, tokens } = events.at(-1) as unknown as { text: string; tokens: number[] };
    const stop = text.slice(8, 11);
    const stopped = await generate('--prompt', 'x', ...sampled, '--stop', 'not there', '--stop', stop);
    expect(stopped.out).toBe(`${text.slice(0, text.indexOf(stop))}\n`);
    const byToken = await generate('--prompt', 'x', ...sampled, '--json', '--stop-token', String(tokens[5]));
    expect(byToken.events.at(-1)).toMatchObject({
      finish: 'stopToken',
      tokens: tokens.slice(0, tokens.indexOf(tokens[5]) + 1),
    });
    // config.json says which token ends a text: here one that is drawn.
    const eos = join(folder, 'generation_config.json');
    await writeFile(eos, JSON.stringify({ eos_token_id: [tokens[7]] }));
    const ended = await mamba(['generate', folder, '--prompt', 'x', ...sampled, '--json']);
    await rm(eos);
    expect(ended.events.at(-1)).toMatchObject({
      finish: 'stopToken',
      tokens: tokens.slice(0, tokens.indexOf(tokens[7]) + 1),
    });
  });

  it('takes and gives ids where there is no tokenizer', async () => {
    const { path, remove: removeBare } = await temporaryFolder();
    await saveTinyModel(path, {}, { layout: 'official' });
    await rm(join(path, 'tokenizer.json'));
    const { out, code } = await mamba(['generate', path, '--ids', '5 6,7', '--max-tokens', '4']);
    expect(code).toBe(0);
    expect(out).toMatch(/^\d+ \d+ \d+ \d+\n$/);
    const text = await mamba(['generate', path, '--prompt', 'x']);
    expect(text).toMatchObject({ code: 2, out: '' });
    expect(text.err).toMatch(/no tokenizer.json: give one with --tokenizer, or token ids with --ids/);
    expect(await mamba(['generate', path, '--ids', '300'])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/prompts\[0\]\[0\] is 300, expected a token in \[0, 259\)/),
    });
    const bytes = ['--prompt', 'x', '--tokenizer', 'bytes', '--max-tokens', '3', '--json'];
    const spelled = await mamba(['generate', path, ...bytes]);
    expect(spelled.events[0]).toMatchObject({ promptTokens: [1] });
    expect(spelled.events.at(-1)).toMatchObject({ text: expect.any(String) });
    await removeBare();
  });

  it('continues several prompts at once, each as if alone', async () => {
    const prompts = ['ab', 'c', 'abc x'];
    const options = [...sampled, '--json', '--max-tokens', '8'];
    const together = await generate(...prompts.flatMap((p) => ['--prompt', p]), ...options);
    const ends = together.events.filter(({ event }) => event === 'end');
    expect(ends.length).toBe(3);
    for (const [row, prompt] of prompts.entries()) {
      const alone = await generate('--prompt', prompt, ...options, '--seed', String(3 + row));
      const { text, tokens } = alone.events.at(-1)!;
      expect(ends.find((end) => end.row === row)).toMatchObject({ text, tokens });
    }
    expect(await generate('--prompt', 'a', '--prompt', 'b')).toMatchObject({
      code: 2,
      err: expect.stringMatching(/needs --json/),
    });
  });

  it('goes on from a saved state', async () => {
    const whole = await generate('--prompt', 'ab', ...sampled, '--max-tokens', '20');
    const state = join(folder, 'state.safetensors');
    const first = await generate('--prompt', 'ab', ...sampled, '--max-tokens', '12', '--save-state', state);
    const rest = await generate('--resume', state, '--temperature', '7', '--max-tokens', '8');
    await rm(state);
    expect(first.out.slice(0, -1) + rest.out).toBe(whole.out);
  });

  it('stores matrices in half precision', async () => {
    const { events } = await generate('--prompt', 'ab', '--json', '--dtype', 'bfloat16', '--max-tokens', '3');
    expect(events[0]).toMatchObject({ dtype: 'bfloat16' });
    expect(events.length).toBe(5);
  });

  it('stops at Ctrl-C with the text so far, and 130', async () => {
    const controller = new AbortController();
    let pieces = 0;
    const outcome = await mamba(
      ['generate', folder, '--prompt', 'x', '--ignore-eos', ...sampled, '--max-tokens', '100000'],
      {
        signal: controller.signal,
        onWrite: () => ++pieces === 5 && controller.abort(),
      },
    );
    expect(outcome).toMatchObject({ code: 130, err: '' });
    expect(outcome.out.endsWith('\n')).toBe(true);
  });
});

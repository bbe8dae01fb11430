import { Complex, cpu, type Device, longConv, reference, type Tensor, tensor } from '@mamba-ts/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DenseRecurrence, inverseRealDft, packedConv, twoSidedConv } from '../src/index';
import { disposeEmpty, evaluate, upload } from './harness';

const devices: readonly [string, () => Promise<Device>, number][] = [
  ['reference', reference, 1e-12],
  ['cpu', () => cpu({ threads: 1 }), 1e-5],
];

describe.each(devices)('convolutions on %s', (_name, create, tolerance) => {
  let device: Device;
  beforeAll(async () => {
    device = await create();
  });
  afterAll(() => disposeEmpty(device));
  const wave = (count: number, f = 1): number[] => Array.from({ length: count }, (_, i) => Math.sin(f * i * i + 1));
  const host = (v: readonly number[], ...shape: number[]): Tensor => upload(device, v, ...shape);
  const close = (actual: readonly number[], expected: readonly number[]): void => {
    const size = Math.max(...expected.map(Math.abs));
    expect(actual.length).toBe(expected.length);
    expected.forEach((e, i) => expect(Math.abs(actual[i] - e) / size, `value ${i}`).toBeLessThan(tolerance));
  };

  it.each([1, 2, 3, 7, 8, 30, 49, 64, 101])('inverse real transform of %i samples', async (n) => {
    const rows = [wave(n), wave(n, 0.3)];
    const bins = Math.floor(n / 2) + 1;
    const part = (trig: (x: number) => number, sign: number): number[] =>
      rows.flatMap((row) =>
        Array.from({ length: bins }, (_, k) =>
          row.reduce((sum, v, l) => sum + sign * v * trig((2 * Math.PI * ((k * l) % n)) / n), 0),
        ),
      );
    const spectrum = (): Complex => new Complex(host(part(Math.cos, 1), 2, bins), host(part(Math.sin, -1), 2, bins));
    close(await evaluate(() => inverseRealDft(spectrum(), n)), rows.flat());
  });

  it.each([1, 2, 5, 16, 19])('packed convolution of %i samples is each sequence by itself', async (length) => {
    const starts = Array.from({ length }, (_, t) => Number(t % 5 === 2 || t % 7 === 3));
    const flags = (): Tensor =>
      tensor(Int32Array.from([...starts, ...starts.map(() => 0)]), { shape: [2, length], device });
    const [u, k] = [wave(2 * length * 3), wave(length * 3, 0.7)];
    const y = await evaluate(() => packedConv(host(u, 2, length, 3), host(k, length, 3), flags()));
    const expected = [0, 1].flatMap((row) =>
      Array.from({ length: length * 3 }, (_, i) => {
        const [t, c] = [Math.floor(i / 3), i % 3];
        let sum = 0;
        for (let s = t; s >= 0; s--) {
          sum += k[(t - s) * 3 + c] * u[(row * length + s) * 3 + c];
          if (row === 0 && starts[s]) break;
        }
        return sum;
      }),
    );
    close(y, expected);
  });

  it('packed convolution by a kernel shorter than the sequence', async () => {
    const none = (): Tensor => tensor(new Int32Array(11), { shape: [1, 11], device });
    const u = (): Tensor => host(wave(22), 1, 11, 2);
    const k = (): Tensor => host(wave(6, 0.7), 3, 2);
    close(await evaluate(() => packedConv(u(), k(), none())), await evaluate(() => longConv(u(), k())));
  });

  it('two sides: a kernel of the future starts with the next sample', async () => {
    const y = await evaluate(() =>
      twoSidedConv(host([1, 2, 4, 8], 1, 4, 1), host([1, 0.5], 2, 1), host([10, 100], 2, 1)),
    );
    close(y, [1 + 20 + 400, 2.5 + 40 + 800, 5 + 80, 10]);
  });

  it.each([1, 2, 13, 64, 77])('a dense recurrence over %i samples is its steps', async (length) => {
    const [channels, states, batch] = [2, 3, 2];
    const M = wave(channels * states * states).map((v) => v / 2);
    const change = M.map((v, i) => v - Number(Math.floor(i / states) % states === i % states));
    const [b, c, u] = [wave(6, 2), wave(6, 3), wave(batch * length * channels, 0.1)];
    const start = wave(batch * channels * states, 5);
    const y: number[] = [];
    const last: number[] = [];
    for (let row = 0; row < batch; row++) {
      for (let h = 0; h < channels; h++) {
        let x = start.slice((row * channels + h) * states, (row * channels + h + 1) * states);
        let silent = x;
        const next = (v: number[]): number[] =>
          v.map((_, i) => v.reduce((sum, w, j) => sum + M[(h * states + i) * states + j] * w, 0));
        for (let t = 0; t < length; t++) {
          x = next(x).map((v, i) => v + b[h * states + i] * u[(row * length + t) * channels + h]);
          silent = next(silent);
          y[(row * length + t) * channels + h] = silent.reduce((sum, v, i) => sum + v * c[h * states + i], 0);
        }
        last.push(...x);
      }
    }
    const recurrence = (): DenseRecurrence => new DenseRecurrence(host(change, channels, states, states));
    const initial = (): Tensor => host(start, batch, channels, states);
    close(
      await evaluate(() => recurrence().stateAfter(host(b, 2, 3), host(u, batch, length, channels), initial())),
      last,
    );
    const response = await evaluate(() => recurrence().response(host(c, 2, 3), initial(), length));
    const size = Math.max(...y.map(Math.abs));
    y.forEach((v, i) => expect(Math.abs(response[i] - v) / size).toBeLessThan(tolerance));
  });
});

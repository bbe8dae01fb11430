import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { byteSize, type DType, type Kernel, type Program } from '@mamba-ts/tensor';
import { interpreted, randomKernel, type RandomKernel, randomSource } from '@mamba-ts/tensor/conformance';
import { chainRows } from '../src/chain';
import { moduleHeader } from '../src/printer/code';
import { splitScratch } from '../src/printer/geometry';
import { launchCode, type PrintedKernel, printKernel } from '../src/printer/kernel';
import { readElement, writeElement } from './elements';
import { PtxMachine } from './ptx-machine';

const sizes = {
  small: [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 15, 16, 17],
  long: [1, 2, 4, 8, 16, 17, 64, 100, 256, 1000, 4096],
} as const;

/** Runs a printed kernel over the buffers, in the machine; gives their values. `same`: buffers that are another one, by number. */
function run(printed: PrintedKernel, { buffers }: Pick<RandomKernel, 'buffers'>, fault = 0, same: Readonly<Record<number, number>> = {}): number[][] {
  let bytes = 64;
  const place = (size: number): number => {
    const at = bytes;
    bytes += Math.ceil(size / 64) * 64 + 64; // a gap that must stay as it is
    return at;
  };
  const addresses = buffers.map((b) => place(b.values.length * byteSize(b.dtype)));
  const extra = { fault: place(32), counters: place(4 * splitScratch.counters), partials: place(printed.extra.includes('partials') ? 4 * splitScratch.words : 4) };
  const memory = new DataView(new ArrayBuffer(bytes));
  memory.setInt32(extra.fault, fault, true);
  buffers.forEach((b, i) => b.values.forEach((value, k) => writeElement(memory, addresses[i], b.dtype, k, value)));
  new PtxMachine(printed.text, memory).run({ ...printed, parameters: [...addresses.map((_, i) => addresses[same[i] ?? i]), ...printed.extra.map((name) => extra[name])] });
  const touched = addresses.findIndex((at, i) => memory.getFloat64(at + Math.ceil((buffers[i].values.length * byteSize(buffers[i].dtype)) / 64) * 64, true) !== 0);
  expect(touched, 'buffer whose end was written over').toBe(-1);
  expect(new Int32Array(memory.buffer, extra.counters, splitScratch.counters).every((c) => c === 0)).toBe(true);
  return buffers.map((b, i) => Array.from({ length: b.values.length }, (_, k) => readElement(memory, addresses[i], b.dtype, k)));
}

/** Prints with a machine of few multiprocessors, so that small kernels get the geometries of large ones. */
const print = (kernel: Kernel, multiprocessors: number, guarded = false): PrintedKernel => {
  // Every other buffer that is only read may be loaded early: in the machine that changes the order of instructions, not the result.
  const stored = kernel.stores.map((s) => s.access.buffer);
  const early = kernel.loads.map((l) => l.buffer).filter((b) => b % 2 === 0 && !stored.includes(b));
  return printKernel(kernel, { multiprocessors, guarded, early });
};

const families = new Set<string>();
const rowsTogether = new Set<string>();

function check(random: RandomKernel, multiprocessors: number, seed: number): PrintedKernel {
  const { kernel, buffers, tolerance } = random;
  const printed = print(kernel, multiprocessors);
  for (const [together] of printed.description.matchAll(/\d rows together/g)) rowsTogether.add(together);
  families.add(`${printed.description.match(/rows|columns/)?.[0] ?? 'elementwise'}${printed.grid[1] > 1 ? ' split' : ''}${printed.description.includes(', 1 wide') ? '' : ' wide'}`);
  const want = interpreted(kernel, buffers);
  run(printed, random).forEach((values, b) => {
    values.forEach((got, i) => {
      const expected = want[b][i];
      const close = Math.abs(got - expected) <= tolerance[b] || got === expected || (Number.isNaN(got) && Number.isNaN(expected));
      if (!close) expect.fail(`seed ${seed}, ${printed.description}: buffer ${b}[${i}] is ${got}, expected ${expected} ± ${tolerance[b]}\n${JSON.stringify(kernel)}\n${printed.text}`);
    });
  });
  return printed;
}

const texts: string[] = [];

it('random kernels agree with the float64 interpreter', () => {
  for (let seed = 1; seed <= 200; seed++) texts.push(check(randomKernel(randomSource(seed), sizes.small), [1, 132][seed % 2], seed).text);
}, 120_000);

/** Σ and max of a (bf16 or float32) times b and Σ b over `inner`, for each of `outer`; the first sum is stored as it is, and all three plus a number of each. */
function productOf(outer: number, inner: number, transposed: boolean, dtype: 'float32' | 'bfloat16', shared: boolean): RandomKernel {
  const random = randomSource(outer + inner);
  const values = (count: number): Float64Array => Float64Array.from({ length: count }, () => Math.floor(random() * 9 - 4) / 4);
  const strides = transposed ? [1, outer] : [inner, 1];
  const ofOuter = { dtype: 'float32', offset: 0, strides: [1, 0], guards: [] } as const;
  const float = { dtype: 'float32' } as const;
  const kernel: Kernel = {
    domain: [outer, inner],
    outerDims: 1,
    loads: [
      { buffer: 0, dtype, offset: 0, strides, guards: [] },
      { buffer: 1, dtype: 'float32', offset: 0, strides: shared ? [0, 1] : strides, guards: [] },
      { buffer: 4, ...ofOuter },
    ],
    body: [{ op: 'load', load: 0, ...float }, { op: 'load', load: 1, ...float }, { op: 'mul', args: [0, 1], ...float }],
    reduces: [{ op: 'sum', value: 2, ...float }, { op: 'max', value: 0, ...float }, { op: 'sum', value: 1, ...float }],
    epilogue: [
      ...[0, 1, 2].map((reduce) => ({ op: 'reduced', reduce, ...float }) as const),
      { op: 'load', load: 2, ...float },
      ...[[3, 4], [7, 5], [8, 6]].map((args) => ({ op: 'add', args: args as [number, number], ...float }) as const),
    ],
    stores: [3, 9].map((value, i) => ({ access: { buffer: 2 + i, ...ofOuter }, value, phase: 'epilogue' })),
  };
  const buffer = (type: DType, count: number): RandomKernel['buffers'][number] => ({ dtype: type, values: values(count) });
  const wide = outer * inner;
  const buffers = [buffer(dtype, wide), buffer('float32', shared ? inner : wide), ...[2, 3, 4].map(() => buffer('float32', outer))];
  return { kernel, buffers, tolerance: [0, 0, 1e-4, 1e-4, 0] };
}

it('sums of every length, in every geometry', () => {
  let seed = 5000;
  for (const [outer, inner] of [[1, 1], [1, 37], [1, 768], [1, 40000], [3, 1000], [24, 768], [40, 96], [16, 5000], [64, 2048], [100, 3], [5, 33], [66, 600], [256, 600], [256, 100], [1, 150000]]) {
    for (const transposed of outer === 1 ? [false] : [false, true]) {
      for (const dtype of ['float32', 'bfloat16'] as const) texts.push(check(productOf(outer, inner, transposed, dtype, !transposed), 4, seed++).text);
    }
  }
  expect([...rowsTogether].sort()).toEqual(['2 rows together', '4 rows together']);
}, 120_000);

it('kernels of other sizes are no sets of one launch, though their code be the same', () => {
  const access = (buffer: number): Kernel['loads'][number] => ({ buffer, dtype: 'float32', offset: 0, strides: [1], guards: [] });
  const copy = (size: number): PrintedKernel =>
    printKernel(
      {
        ...{ domain: [size], outerDims: 1, loads: [access(0)], reduces: [], epilogue: [] },
        body: [{ op: 'load', load: 0, dtype: 'float32' }],
        stores: [{ access: access(1), value: 0, phase: 'body' }],
      },
      { multiprocessors: 132, guarded: false },
    );
  expect(copy(256).name).toBe(copy(512).name);
  expect(launchCode(copy(256))).not.toBe(launchCode(copy(512)));
  expect(launchCode(copy(256))).toBe(launchCode(copy(256)));
});

it('one launch runs a kernel for several sets of buffers', () => {
  for (const random of [productOf(24, 96, false, 'bfloat16', true), productOf(40, 30, true, 'float32', false)]) {
    const { kernel, buffers } = random;
    const printed = printKernel(kernel, { multiprocessors: 132, guarded: false, sets: 3 });
    expect(printed.grid[2]).toBe(3);
    const sets = [1, 2, 3].map((factor) => buffers.map((b) => ({ ...b, values: b.values.map((v) => v * factor) })));
    const got = run(printed, { buffers: sets.flat() });
    sets.forEach((set, s) => {
      const want = interpreted(kernel, set);
      want.forEach((values, b) => values.forEach((v, i) => expect(Math.abs(got[s * buffers.length + b][i] - v)).toBeLessThan(1e-3)));
    });
    texts.push(printed.text);
  }
});

it('an elementwise kernel goes over the rows that a reduction has just made, in one launch', () => {
  for (const [rows, width] of [[1, 2048], [5, 96], [64, 2048], [100, 33], [257, 64], [40, 3]]) {
    const load = (buffer: number, strides: readonly number[], dtype: DType = 'float32'): Kernel['loads'][number] => ({ buffer, dtype, offset: 0, strides: [...strides], guards: [] });
    const reduction: Kernel = {
      domain: [rows, width], outerDims: 1,
      loads: [load(0, [width, 1])],
      body: [{ op: 'load', load: 0, dtype: 'float32' }, { op: 'mul', args: [0, 0], dtype: 'float32' }],
      reduces: [{ op: 'sum', value: 1, dtype: 'float32' }],
      epilogue: [{ op: 'reduced', reduce: 0, dtype: 'float32' }],
      stores: [{ access: load(1, [1, 0]), value: 2, phase: 'epilogue' }],
    };
    const follower: Kernel = {
      domain: [rows, width], outerDims: 2, reduces: [], epilogue: [],
      loads: [load(0, [width, 1]), load(1, [1, 0]), load(2, [0, 1])],
      body: [
        { op: 'load', load: 0, dtype: 'float32' }, { op: 'load', load: 1, dtype: 'float32' }, { op: 'load', load: 2, dtype: 'float32' },
        { op: 'mul', args: [0, 1], dtype: 'float32' }, { op: 'add', args: [3, 2], dtype: 'float32' },
      ],
      stores: [{ access: load(3, [width, 1], 'bfloat16'), value: 4, phase: 'body' }],
    };
    const step = (kernel: Kernel, buffers: readonly number[]): Program['steps'][number] => ({ kind: 'kernel', kernel, buffers, label: [] });
    const bytesOfSlots = [4 * rows * width, 4 * rows, 4 * width, 2 * rows * width];
    const slots = bytesOfSlots.map((bytes): Program['slots'][number] => ({ kind: 'external', bytes, offset: 0 }));
    const program = { key: '', slots, arenaBytes: 0, externals: [0, 1, 2, 3], steps: [step(reduction, [0, 1]), step(follower, [0, 1, 2, 3])] };
    expect(chainRows(program, [[0], [1]], { multiprocessors: 4 }).groups).toEqual([[0, 1]]);
    // In place over what other blocks may still have to reduce: no.
    expect(chainRows({ ...program, steps: [step(reduction, [0, 1]), step(follower, [0, 1, 2, 0])] }, [[0], [1]], { multiprocessors: 4 }).groups).toEqual([[0], [1]]);
    // Results of other rows than its own: no.
    const turned = { ...follower, loads: [load(0, [width, 1]), load(1, [0, rows > width ? 1 : 0]), load(2, [0, 1])] };
    expect(chainRows({ ...program, steps: [step(reduction, [0, 1]), step(turned, [0, 1, 2, 3])] }, [[0], [1]], { multiprocessors: 4 }).chains.size).toBe(rows === 1 ? 1 : 0);

    const random = randomSource(rows);
    const values = (count: number): Float64Array => Float64Array.from({ length: count }, () => Math.floor(random() * 9 - 4) / 4);
    const x = values(rows * width);
    const buffers: RandomKernel['buffers'] = [
      { dtype: 'float32', values: x }, { dtype: 'float32', values: new Float64Array(rows) },
      { dtype: 'float32', values: x }, { dtype: 'float32', values: new Float64Array(rows) }, { dtype: 'float32', values: values(width) }, { dtype: 'bfloat16', values: new Float64Array(rows * width) },
    ];
    // The follower's second buffer is the reduction's: the machine gets the address of one for both.
    const printed = printKernel(reduction, { multiprocessors: 4, guarded: false, follower: { kernel: follower, guarded: false } });
    const got = run(printed, { buffers }, 0, { 3: 1 });
    for (let r = 0; r < rows; r++) {
      const sum = x.subarray(r * width, (r + 1) * width).reduce((all, v) => all + v * v, 0);
      for (let c = 0; c < width; c++) {
        const want = x[r * width + c] * sum + buffers[4].values[c];
        expect(Math.abs(got[5][r * width + c] - want)).toBeLessThanOrEqual(Math.abs(want) / 128);
      }
    }
    expect(run(printKernel(reduction, { multiprocessors: 4, guarded: false, follower: { kernel: follower, guarded: true } }), { buffers }, 2, { 3: 1 })[5].every((v) => v === 0)).toBe(true);
    texts.push(printed.text);
  }
});

it('a kernel that is guarded leaves memory alone after a fault', () => {
  for (const random of [productOf(3, 1000, false, 'float32', true), randomKernel(randomSource(3), sizes.small)]) {
    const printed = print(random.kernel, 4, true);
    expect(printed.extra).toContain('fault');
    const before = random.buffers.map((b) => [...b.values]);
    expect(run(printed, random, 2)).toEqual(before);
    expect(run(printed, random, 0)).not.toEqual(before);
  }
});

it('long loops agree too, in every geometry', () => {
  for (let seed = 1; seed <= 24; seed++) {
    const random = randomKernel(randomSource(1000 + seed), sizes.long);
    if (random.kernel.domain.reduce((a, b) => a * b, 1) > 200_000) continue;
    texts.push(check(random, [1, 4, 132][seed % 3], 1000 + seed).text);
  }
  const all = ['columns', 'columns split', 'columns split wide', 'columns wide', 'elementwise', 'elementwise wide', 'rows', 'rows split wide', 'rows wide'];
  expect([...families].sort()).toEqual(all);
}, 120_000);

it('prints what the assembler takes', (context) => {
  try {
    execFileSync('ptxas', ['--version']);
  } catch {
    console.log('left out: assembling the printed kernels (no ptxas on the PATH)');
    context.skip();
  }
  const folder = mkdtempSync(join(tmpdir(), 'printer-'));
  try {
    writeFileSync(join(folder, 'all.ptx'), moduleHeader([8, 0]) + [...new Map(texts.map((t) => [t.match(/\.entry (\w+)/)?.[1], t])).values()].join('\n'));
    execFileSync('ptxas', ['-arch=sm_80', '-O1', join(folder, 'all.ptx'), '-o', join(folder, 'all.cubin')], { stdio: 'pipe' });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 120_000);

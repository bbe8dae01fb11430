import { afterEach, describe, expect, test } from 'vitest';
import type { DeviceBuffer } from '../../src/backend';
import type { Kernel } from '../../src/compile/kernel';
import type { Program } from '../../src/compile/program';
import { assembleCpuBackend, type CpuOptions } from '../../src/cpu/assemble';
import type { CpuBackend } from '../../src/cpu/cpu-backend';
import { DeviceError, OutOfRangeError } from '../../src/errors';
import { bareBackend, kernelProgram } from './bare-backend';
import { fakeBackend, fakeProgram } from './fake-routines';

const made: CpuBackend[] = [];
afterEach(() => made.splice(0).forEach((b) => b.dispose()));
const bare = async (options: CpuOptions = {}, parallelWork?: number): Promise<CpuBackend> => {
  const backend = await bareBackend(options, parallelWork);
  made.push(backend);
  return backend;
};
const fake = async (threads: number, options: CpuOptions = {}): Promise<CpuBackend> => {
  const backend = await fakeBackend({ threads, ...options }, 0);
  made.push(backend);
  return backend;
};

/** buffer[to] = buffer[from] + amount, over `count` int32 elements. */
function increment(count: number, from: number, to: number, amount: number): Kernel {
  const at = (buffer: number): Kernel['loads'][number] => ({
    buffer,
    dtype: 'int32',
    offset: 0,
    strides: [1],
    guards: [],
  });
  return {
    domain: [count],
    outerDims: 1,
    loads: [at(from)],
    body: [
      { op: 'load', load: 0, dtype: 'int32' },
      { op: 'const', value: amount, dtype: 'int32' },
      { op: 'add', args: [0, 1], dtype: 'int32' },
    ],
    reduces: [],
    epilogue: [],
    stores: [{ access: at(to), value: 2, phase: 'body' }],
  };
}

function buffers(backend: CpuBackend, count: number, length: number): DeviceBuffer[] {
  return Array.from({ length: count }, () => {
    const buffer = backend.allocate(4 * length);
    backend.write(buffer, 'int32', new Int32Array(length));
    return buffer;
  });
}

const ints = (backend: CpuBackend, buffer: DeviceBuffer, count: number): number[] => [
  ...backend.readSync(buffer, 'int32', count),
];

describe.each([1, 2, 3])('%d threads', (threads) => {
  test('each step sees what the steps before it wrote, parallel or not', async () => {
    const backend = await bare({ threads }, 0);
    const n = 5000;
    const [a, b] = buffers(backend, 2, n);
    const steps = Array.from({ length: 60 }, (_, i) => increment(i % 3 === 0 ? 3 : n, i % 2, 1 - (i % 2), 1));
    const recording = backend.prepare(kernelProgram(steps, [4 * n, 4 * n])).record([a, b], null);
    const want = [new Int32Array(n), new Int32Array(n)];
    for (let turn = 0; turn < 50; turn++) {
      recording.replay();
      steps.forEach((k, i) => {
        for (let e = 0; e < k.domain[0]; e++) want[1 - (i % 2)][e] = want[i % 2][e] + 1;
      });
    }
    expect(ints(backend, a, n)).toEqual([...want[0]]);
    expect(ints(backend, b, n)).toEqual([...want[1]]);
  });

  test('routines run on all threads, serial phases on one', async () => {
    const backend = await fake(threads);
    const [a, b, c] = buffers(backend, 3, 8);
    backend
      .prepare(
        fakeProgram(
          [
            { routine: 'matmul', input: 0, output: 1 },
            { routine: 'cumsum', input: 0, output: 2 },
          ],
          [32, 32, 32],
        ),
      )
      .run([a, b, c], null);
    expect(ints(backend, b, threads + 1)).toEqual([...Array.from({ length: threads }, (_, t) => 100 * threads + t), 0]);
    expect(ints(backend, c, 2)).toEqual([100, 0]);
  });

  test('a fault stops the program before the next step, throws, and leaves the device usable', async () => {
    const backend = await fake(threads);
    for (const rest of [increment(1, 0, 1, 7), increment(4000, 0, 1, 7)]) {
      const [a, b] = buffers(backend, 2, 4000);
      const recording = backend
        .prepare(fakeProgram([{ routine: 'gather', input: 0, output: 1 }, rest], [16000, 16000]))
        .record([a, b], null);
      backend.write(a, 'int32', Int32Array.from([42]));
      expect(() => recording.replay()).toThrow(
        new OutOfRangeError('gather: ids has 42 at flat position 3, expected an integer in [0, 9]'),
      );
      expect(ints(backend, b, 4000).every((v) => v === 0)).toBe(true);
      backend.write(a, 'int32', Int32Array.from([0]));
      recording.replay();
      expect(ints(backend, b, 1)).toEqual([7]);
    }
  });

  test('a fault in the last step is reported too', async () => {
    const backend = await fake(threads);
    const [a, b] = buffers(backend, 2, 10);
    backend.write(a, 'int32', Int32Array.from([5]));
    const program = backend.prepare(
      fakeProgram([increment(1, 1, 1, 1), { routine: 'gather', input: 0, output: 1 }], [40, 40]),
    );
    expect(() => program.run([a, b], null)).toThrow(OutOfRangeError);
    expect(() => program.run([a, b], null)).toThrow(OutOfRangeError);
  });
});

describe('threads that fail', () => {
  test('a trap in a worker becomes a DeviceError, now and later', async () => {
    const backend = await fake(2);
    const [a, b] = buffers(backend, 2, 10);
    const program = backend.prepare(
      fakeProgram([{ routine: 'sort', input: 0, output: 1 }, increment(4, 0, 1, 1)], [40, 40]),
    );
    expect(() => program.run([a, b], null)).toThrow(
      /^cpu: worker thread 1 failed: unreachable; the device can't run anything more$/,
    );
    expect(ints(backend, b, 1)).toEqual([0]);
    const parallel = backend.prepare(fakeProgram([{ routine: 'matmul', input: 0, output: 1 }], [40, 40]));
    expect(() => parallel.run([a, b], null)).toThrow(DeviceError);
  });

  test('a worker that never arrives is given up', async () => {
    const backend = await fake(2, { stallLimit: 300 });
    const [a, b] = buffers(backend, 2, 10);
    const program = backend.prepare(fakeProgram([{ routine: 'argmax', input: 0, output: 1 }], [40, 40]));
    const start = performance.now();
    expect(() => program.run([a, b], null)).toThrow('cpu: a worker thread made no progress for 300 ms');
    expect(performance.now() - start).toBeLessThan(5000);
  });
});

describe('recordings and programs', () => {
  test('replay allocates nothing, in memory or on the JS heap', async () => {
    const backend = await bare({ threads: 1 });
    const [a, b] = buffers(backend, 2, 8);
    const recording = backend
      .prepare(kernelProgram([increment(8, 0, 1, 1), increment(8, 1, 0, 1)], [32, 32]))
      .record([a, b], null);
    for (let i = 0; i < 20000; i++) recording.replay();
    const before = { ...backend.counters };
    const heap = process.memoryUsage().heapUsed;
    for (let i = 0; i < 200000; i++) recording.replay();
    // One small object per replay would be at least 2.4 MB; the margin is for the test runner itself.
    expect(process.memoryUsage().heapUsed - heap).toBeLessThan(1_500_000);
    expect(backend.counters).toEqual({ ...before, replays: before.replays + 200000 });
  });

  test('run with other buffers rebinds; the arena comes from the caller', async () => {
    const backend = await bare({ threads: 2 });
    const program: Program = {
      key: 'arena',
      arenaBytes: 128,
      externals: [0, 2],
      slots: [
        { kind: 'external', bytes: 16, offset: 0 },
        { kind: 'arena', bytes: 16, offset: 64 },
        { kind: 'external', bytes: 16, offset: 0 },
      ],
      steps: [
        { kind: 'kernel', kernel: increment(4, 0, 1, 10), buffers: [0, 1], label: [] },
        { kind: 'kernel', kernel: increment(4, 0, 1, 100), buffers: [1, 2], label: [] },
      ],
    };
    const executable = backend.prepare(program);
    const arena = backend.allocate(128);
    for (let turn = 0; turn < 3; turn++) {
      const [a, b] = buffers(backend, 2, 4);
      backend.write(a, 'int32', Int32Array.from([turn, 1, 2, 3]));
      executable.run([a, b], arena);
      expect(ints(backend, b, 4)).toEqual([110 + turn, 111, 112, 113]);
    }
    const [a, b] = buffers(backend, 2, 4);
    expect(() => executable.run([a], arena)).toThrow('got 1 buffers, expected 2');
    expect(() => executable.run([a, b], null)).toThrow('needs an arena of 128 bytes');
    expect(() => executable.run([a, b], backend.allocate(64))).toThrow('the arena has 64 bytes, expected at least 128');
    expect(executable.describe()).toHaveLength(2);
  });

  test('equal keys are compiled once; equal kernels share code; beyond the cache old programs still run', async () => {
    const backend = await bare({ threads: 2 }, 0);
    const [a, b] = buffers(backend, 2, 600);
    const first = kernelProgram([increment(600, 0, 1, 1)], [2400, 2400]);
    const executable = backend.prepare(first);
    const recording = executable.record([a, b], null);
    expect(backend.prepare({ ...first })).toBe(executable);
    expect(backend.counters.programsCompiled).toBe(1);
    const many = backend.prepare(
      kernelProgram(
        Array.from({ length: 200 }, () => increment(600, 0, 1, 1)),
        [2400, 2400],
      ),
    );
    many.run([a, b], null);
    const inUse = backend.bytesInUse;
    for (let i = 0; i < 300; i++)
      backend.prepare(kernelProgram([increment(600, 0, 1, i)], [2400, 2400])).run([a, b], null);
    backend.write(a, 'int32', new Int32Array(600).fill(5));
    recording.replay();
    expect(ints(backend, b, 2)).toEqual([6, 6]);
    executable.run([a, b], null);
    many.run([a, b], null);
    expect(ints(backend, b, 2)).toEqual([6, 6]);
    recording.dispose();
    recording.dispose();
    expect(() => recording.replay()).toThrow('replayed after it was disposed');
    // Evicted programs have given their memory back: what is left belongs to the 256 cached ones, each within a few
    // KiB.
    expect(backend.bytesInUse - inUse).toBeLessThan(256 * 4096);
  });

  test('misused buffers are refused', async () => {
    const [one, two] = [await bare({ threads: 1 }), await bare({ threads: 1 })];
    const [a, b] = buffers(one, 2, 4);
    const [foreign] = buffers(two, 1, 4);
    const executable = one.prepare(kernelProgram([increment(4, 0, 1, 1)], [16, 16]));
    expect(() => executable.run([a, foreign], null)).toThrow('buffer 1 belongs to another device');
    expect(() => executable.run([a, one.allocate(8)], null)).toThrow('buffer 1 has 8 bytes, expected at least 16');
    const recording = executable.record([a, b], null);
    one.free(b);
    expect(() => recording.replay()).toThrow('buffer 1 of a recording was freed');
    expect(() => one.free(b)).toThrow('was freed');
    expect(() => one.readSync(b, 'int32', 4)).toThrow('was freed');
    expect(() => one.allocate(0)).toThrow('bytes is 0');
    const [c, d] = buffers(one, 2, 4);
    one.write(c, 'int32', Int32Array.from([1, 2, 3, 4]));
    one.copy(c, d, 12);
    expect(ints(one, d, 4)).toEqual([1, 2, 3, 0]);
    expect(() => one.copy(c, d, 20)).toThrow('the source has 16 bytes');
  });

  test('routines that are absent or refused are named', async () => {
    const backend = await fake(1);
    const { call } = fakeProgram([{ routine: 'longConv', input: 0, output: 1 }], [40, 40]).steps[0] as Extract<
      Program['steps'][number],
      { kind: 'routine' }
    >;
    expect(backend.refuses(call)).toBe('too long');
    expect(backend.refuses({ ...call, name: 'stateUpdate' })).toBe('the cpu backend has no routine stateUpdate');
    expect(backend.refuses({ ...call, name: 'matmul' })).toBe(null);
    expect(() => backend.scratchBytes({ ...call, name: 'stateUpdate' })).toThrow(
      'cpu: stateUpdate: the cpu backend has no routine',
    );
    expect(() => backend.prepare(fakeProgram([{ routine: 'longConv', input: 0, output: 1 }], [40, 40]))).toThrow(
      'cpu: longConv: too long',
    );
  });
});

describe('the device', () => {
  test('options are checked', async () => {
    const make = (options: CpuOptions): Promise<unknown> =>
      assembleCpuBackend(options, { routines: {}, modules: async () => ({ kernels: null, scan: null }) });
    await expect(make({ threads: 0 })).rejects.toThrow('threads is 0, expected an integer in [1, 64]');
    await expect(make({ threads: 1.5 })).rejects.toThrow('threads is 1.5');
    await expect(make({ maxMemoryBytes: 100 })).rejects.toThrow('maxMemoryBytes is 100');
  });

  test('memory is limited to maxMemoryBytes, grows on demand, and survives exhaustion', async () => {
    for (const threads of [1, 2]) {
      const backend = await bare({ threads, maxMemoryBytes: 8 * 2 ** 20 });
      const [a, b] = buffers(backend, 2, 1000);
      const program = backend.prepare(kernelProgram([increment(1000, 0, 1, 1)], [4000, 4000]));
      program.run([a, b], null);
      expect(() => backend.allocate(8 * 2 ** 20)).toThrow('out of memory');
      const large = backend.allocate(6 * 2 ** 20);
      backend.write(large, 'int32', new Int32Array(6 * 2 ** 18).fill(3));
      program.run([a, b], null);
      program.run([large, b], null);
      expect(ints(backend, b, 2)).toEqual([4, 4]);
    }
  });

  test('after dispose nothing runs', async () => {
    const backend = await bare({ threads: 2 }, 0);
    const [a, b] = buffers(backend, 2, 2000);
    const recording = backend.prepare(kernelProgram([increment(2000, 0, 1, 1)], [8000, 8000])).record([a, b], null);
    recording.replay();
    backend.dispose();
    backend.dispose();
    expect(() => recording.replay()).toThrow('the device was disposed');
    expect(() => backend.allocate(4)).toThrow('the device was disposed');
    expect(() => backend.readSync(a, 'int32', 1)).toThrow('the device was disposed');
    await expect(backend.synchronize()).rejects.toThrow('the device was disposed');
  });

  test('several devices at once do not disturb each other', async () => {
    const all = await Promise.all([bare({ threads: 2 }, 0), bare({ threads: 2 }, 0), bare({ threads: 1 })]);
    for (let turn = 0; turn < 5; turn++) {
      all.forEach((backend, i) => {
        const [a, b] = buffers(backend, 2, 3000);
        backend.prepare(kernelProgram([increment(3000, 0, 1, i + 1)], [12000, 12000])).run([a, b], null);
        expect(ints(backend, b, 3000).every((v) => v === i + 1)).toBe(true);
      });
    }
  });
});

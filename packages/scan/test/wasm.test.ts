// What a host of the WASM kernels relies on: bits, memory, addresses, the ABI.
import { describe, expect, it } from 'vitest';
import {
  type ScanGradients,
  type ScanKernel,
  type ScanPointers,
  type ScanShape,
  type ScanVariant,
  ScanRuntime,
  compileScanModule,
  detectScanVariant,
  instantiateScanKernels,
  scanArguments,
  scanExports,
  scanMemoryBase,
  scanMemoryEnd,
  scanModuleBytes,
  scanParamsBytes,
  scanScratchBytes,
  scanSize,
  scanTileStatesBytes,
  withMemoryKind,
  writeScanParams,
} from '@mamba-ts/scan';
import { scanCaseData, scanCases } from '@mamba-ts/scan/conformance';

const variants: readonly ScanVariant[] = ['simd', 'relaxed'];
const pageBytes = 65536;
const shapeOf = (shape: Partial<ScanShape>): ScanShape => ({
  ...{ batch: 1, length: 1, channels: 4, dState: 4, groups: 1, complex: false, variableB: true, variableC: true },
  ...shape,
});
/** Every third case: all kinds, without the largest. */
const someCases = scanCases.filter(({ seed, shape }) => seed % 3 === 1 && shape.dState < 256);

describe.each(variants)('%s', (variant) => {
  describe('any number of threads gives the same bits', () => {
    const runtimes = [1, 2, 3, 7].map((slices) => new ScanRuntime({ variant, slices }));
    it.each(someCases.map((scanCase) => [scanCase.name, scanCase] as const))('%s', (_, scanCase) => {
      const { shape } = scanCase;
      const { inputs, options, gradients } = scanCaseData(scanCase);
      const [one, ...others] = runtimes.map((runtime) => ({
        ...{ out: runtime.forward(shape, inputs, options), grad: runtime.backward(shape, inputs, gradients, options) },
      }));
      for (const other of others) {
        expect(other.out.y).toEqual(one.out.y);
        expect(other.out.lastState).toEqual(one.out.lastState);
        for (const name of Object.keys(one.grad) as (keyof ScanGradients)[])
          expect(other.grad[name]).toEqual(one.grad[name]);
      }
    });
  });

  it('writes its constants to its share of memory and nowhere else', () => {
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 65536, shared: true });
    const bytes = new Uint8Array(memory.buffer);
    bytes.fill(0xab);
    instantiateScanKernels(compileScanModule(variant, true), memory);
    const touched = [...bytes.keys()].filter((address) => bytes[address] !== 0xab);
    expect(touched.length).toBeGreaterThan(100);
    expect(touched[0]).toBeGreaterThanOrEqual(scanMemoryBase);
    expect(touched.at(-1)).toBeLessThan(scanMemoryEnd);
  });

  it.each([true, false])('runs on memory with shared: %s, and refuses the other kind', (shared) => {
    const module = compileScanModule(variant, shared);
    expect(WebAssembly.Module.imports(module)).toMatchObject([{ module: 'env', name: 'memory', kind: 'memory' }]);
    const memory = (kind: boolean): WebAssembly.Memory =>
      new WebAssembly.Memory({ initial: 2, maximum: 65536, shared: kind });
    const kernels = instantiateScanKernels(module, memory(shared));
    for (const name of Object.values(scanExports).flat()) expect(kernels[name]).toBeTypeOf('function');
    expect(() => instantiateScanKernels(module, memory(!shared))).toThrow(WebAssembly.LinkError);
  });

  it('changes nothing but the memory kind in the bytes', () => {
    const shared = scanModuleBytes(variant, true);
    const unshared = withMemoryKind(shared, false);
    const different = [...shared.keys()].filter((at) => shared[at] !== unshared[at]);
    expect(different.map((at) => [shared[at], unshared[at]])).toEqual([[3, 1]]);
    expect(withMemoryKind(unshared, true)).toEqual(shared);
  });

  describe('writes results and scratch, nothing else', () => {
    it.each(someCases.map((scanCase) => [scanCase.name, scanCase] as const))('%s', (_, scanCase) => {
      for (const threads of [1, 3]) guardedRun(variant, scanCase, threads);
    });
  });

  it('backward takes the states that forward has kept', () => {
    for (const scanCase of someCases) {
      const run = (keep: boolean): object => ({ name: scanCase.name, ...hostRun(variant, scanCase, keep) });
      expect(run(true)).toEqual(run(false));
    }
  });
});

/** Places of all arrays of a case in a memory of their own, each with a guard zone behind it. */
function layOut(scanCase: (typeof scanCases)[number], extra: Record<string, number>) {
  const { shape } = scanCase;
  const { inputs, options, gradients } = scanCaseData(scanCase);
  const zones: { name: string; from: number; to: number }[] = [];
  let next = 2 * pageBytes;
  const place = (name: string, bytes: number): number => {
    const from = next;
    zones.push({ name, from, to: from + bytes });
    next = Math.ceil((from + bytes + 64) / 16) * 16;
    return from;
  };
  const present = scanArguments.filter((name) => inputs[name] !== undefined);
  const sources: [number, ArrayLike<number>, boolean][] = [];
  const pointers: Record<string, number> = {};
  for (const name of present) {
    pointers[name] = place(name, 4 * scanSize(shape, name));
    sources.push([pointers[name], inputs[name] ?? [], true]);
    const gradient = `grad${name[0].toUpperCase()}${name.slice(1)}`;
    pointers[gradient] = place(gradient, 4 * scanSize(shape, name));
  }
  if (inputs.resets !== undefined) {
    pointers.resets = place('resets', 4 * inputs.resets.length);
    sources.push([pointers.resets, inputs.resets, false]);
  }
  pointers.gradY = place('gradY', 4 * gradients.y.length);
  sources.push([pointers.gradY, gradients.y, true]);
  if (gradients.lastState !== undefined) {
    pointers.gradLastState = place('gradLastState', 4 * gradients.lastState.length);
    sources.push([pointers.gradLastState, gradients.lastState, true]);
  }
  pointers.y = place('y', 4 * scanSize(shape, 'y'));
  pointers.lastState = place('lastState', 4 * scanSize(shape, 'lastState'));
  for (const [name, bytes] of Object.entries(extra)) pointers[name] = place(name, bytes);
  const memory = new WebAssembly.Memory({ initial: Math.ceil(next / pageBytes) + 1, maximum: 65536 });
  for (const [address, values, float] of sources) {
    (float ? new Float32Array(memory.buffer) : new Int32Array(memory.buffer)).set(values, address / 4);
  }
  return { memory, pointers: pointers as Record<string, number> & ScanPointers, zones, options };
}

function call(
  memory: WebAssembly.Memory,
  variant: ScanVariant,
  kernel: ScanKernel,
  shape: ScanShape,
  pointers: ScanPointers,
  scratch: number,
  threads: number,
  deltaSoftplus: boolean,
  names: readonly (keyof ReturnType<typeof instantiateScanKernels>)[] = scanExports[kernel],
): void {
  const kernels = instantiateScanKernels(compileScanModule(variant, false), memory);
  writeScanParams(new DataView(memory.buffer), pageBytes, { kernel, shape, pointers, scratch, threads, deltaSoftplus });
  for (const name of names) {
    for (let tid = threads - 1; tid >= 0; tid--) kernels[name](pageBytes, tid, threads);
  }
}

const outputNames = ['y', 'lastState'];

function guardedRun(variant: ScanVariant, scanCase: (typeof scanCases)[number], threads: number): void {
  const { shape } = scanCase;
  for (const kernel of ['forward', 'backward'] as const) {
    const { memory, pointers, zones, options } = layOut(scanCase, {
      scratch: scanScratchBytes(shape, kernel, threads),
    });
    const bytes = new Uint8Array(memory.buffer);
    const { scratch, ...arrays } = pointers;
    const written = zones.filter(({ name }) =>
      kernel === 'forward' ? [...outputNames, 'scratch'].includes(name) : /^grad(?!Y$|LastState$)|scratch/.test(name),
    );
    // outputs and scratch start as NaN: whoever read them would spread it
    for (const { from, to } of written) bytes.fill(0xff, from, to);
    const before = bytes.slice();
    call(memory, variant, kernel, shape, arrays, scratch, threads, options.deltaSoftplus ?? false);
    for (const { from, to } of written) before.set(bytes.subarray(from, to), from);
    before.set(bytes.subarray(pageBytes, pageBytes + scanParamsBytes), pageBytes);
    before.set(bytes.subarray(scanMemoryBase, scanMemoryEnd), scanMemoryBase);
    const wrong = bytes.findIndex((value, address) => value !== before[address]);
    const zone = zones.findLast(({ from }) => from <= wrong);
    expect(wrong, `${kernel} of ${threads} threads wrote to byte ${wrong}, in or behind ${zone?.name}`).toBe(-1);
    for (const { name, from, to } of written.filter((result) => result.name !== 'scratch')) {
      expect(new Float32Array(memory.buffer, from, (to - from) / 4).every(Number.isFinite), `${name} is finite`).toBe(
        true,
      );
    }
  }
}

/** Bytes of all gradients, with tileStates from forward or from backward's own first phase. */
function hostRun(
  variant: ScanVariant,
  scanCase: (typeof scanCases)[number],
  keep: boolean,
): Record<string, Float32Array> {
  const { shape } = scanCase;
  const { memory, pointers, zones, options } = layOut(scanCase, {
    scratch: Math.max(scanScratchBytes(shape, 'forward', 1), scanScratchBytes(shape, 'backward', 1, keep)),
    tileStates: scanTileStatesBytes(shape),
  });
  const { scratch, tileStates, ...arrays } = pointers;
  const all = keep ? { ...arrays, tileStates } : arrays;
  const softplus = options.deltaSoftplus ?? false;
  call(memory, variant, 'forward', shape, all, scratch, 1, softplus);
  call(
    memory,
    variant,
    'backward',
    shape,
    all,
    scratch,
    1,
    softplus,
    keep ? scanExports.backward.slice(1) : scanExports.backward,
  );
  const results = zones.filter(({ name }) => name.startsWith('grad'));
  return Object.fromEntries(
    results.map(({ name, from, to }) => [name, new Float32Array(memory.buffer, from, (to - from) / 4).slice()]),
  );
}

describe('scratch', () => {
  it('of backward over 16384 steps of 1024 channels and 16 states stays under 64 MiB', () => {
    const shape = shapeOf({ length: 16384, channels: 1024, dState: 16 });
    for (const threads of [1, 2, 16]) {
      const bytes = scanScratchBytes(shape, 'backward', threads);
      expect(bytes).toBeLessThan(64 * 2 ** 20);
      expect(bytes).toBeLessThan((4 * shape.length * shape.channels * shape.dState) / 16); // far from (B, L, D, N)
    }
    expect(scanTileStatesBytes(shape)).toBeLessThan(32 * 2 ** 20);
  });
  it('of forward does not grow with the length', () => {
    const bytes = (length: number): number =>
      scanScratchBytes(shapeOf({ length, channels: 1024, dState: 16 }), 'forward', 2);
    expect(bytes(16384)).toBe(bytes(64));
    expect(bytes(64)).toBeLessThan(2 ** 20);
  });
  it('is not needed to update states in multiples of 4', () => {
    expect(scanScratchBytes(shapeOf({ dState: 16 }), 'stateUpdate', 2)).toBe(0);
    expect(scanScratchBytes(shapeOf({ dState: 3 }), 'stateUpdate', 2)).toBeGreaterThan(0);
  });
  it('really suffices for the long sequence, in the memory that was asked for', () => {
    const shape = shapeOf({ length: 4096, channels: 64, dState: 16 });
    const runtime = new ScanRuntime();
    const fill = (size: number, value: number): Float32Array => new Float32Array(size).fill(value);
    const steps = fill(scanSize(shape, 'u'), 0.5);
    const inputs = {
      u: steps,
      delta: steps,
      A: fill(1024, -1),
      B: fill(scanSize(shape, 'B'), 1),
      C: fill(scanSize(shape, 'C'), 1),
    };
    const { A } = runtime.backward(shape, inputs, { y: steps }, {});
    expect(A.every((value) => Math.abs(value / A[0] - 1) < 1e-6)).toBe(true);
  });
});

describe('writeScanParams', () => {
  const view = new DataView(new ArrayBuffer(scanParamsBytes));
  const pointers: ScanPointers = { u: 16, delta: 2 ** 31, A: 48, B: 64, C: 80 };
  const shape = shapeOf({});
  it('puts sizes, flags and addresses where the kernels read them', () => {
    const flagged = { deltaSoftplus: true, resetsAreBytes: true };
    writeScanParams(view, 0, { kernel: 'forward', shape, pointers, scratch: 4096, threads: 1, ...flagged });
    const fields = Array.from({ length: 16 }, (_, index) => view.getUint32(4 * index, true));
    expect(fields).toEqual([1, 1, 4, 4, 1, 2 + 4 + 8 + 16, 16, 2 ** 31, 48, 64, 80, 0, 0, 0, 0, 0]);
    expect(view.getUint32(4 * 29, true)).toBe(4096);
  });
  it('refuses what no kernel could run', () => {
    const write = (change: object): void =>
      writeScanParams(view, 0, { kernel: 'forward', shape, pointers, scratch: 4096, threads: 1, ...change });
    expect(() => write({ threads: 0 })).toThrow(
      'writeScanParams: threads has value 0, expected an integer of at least 1',
    );
    expect(() => write({ kernel: 'stateUpdate', shape: shapeOf({ length: 2 }) })).toThrow('shape.length has value 2');
    expect(() => write({ scratch: 2 ** 32 - 16 })).toThrow(
      'scratch has address 4294967280, expected an end below 4 GiB',
    );
  });
});

describe('the variant', () => {
  it('is detected', () => {
    expect(variants).toContain(detectScanVariant());
    expect(new ScanRuntime().variant).toBe(detectScanVariant());
  });
  it('needs a module whose first import is a memory', () => {
    const empty = new Uint8Array([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
    expect(() => withMemoryKind(empty, true)).toThrow('first import is not a memory');
  });
});

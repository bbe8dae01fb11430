// One WASM instance on a memory of its own: copies arrays in, runs a kernel on one thread, copies results out.
import {
  type ScanGradients,
  type ScanInputs,
  type ScanOptions,
  type ScanOutput,
  type ScanOutputGradients,
  type ScanShape,
  scanArguments,
  scanSize,
} from './types';
import {
  type ScanKernelExports,
  type ScanVariant,
  compileScanModule,
  detectScanVariant,
  instantiateScanKernels,
} from './wasm';
import {
  type ScanKernel,
  type ScanPointers,
  scanExports,
  scanParamsBytes,
  scanScratchBytes,
  writeScanParams,
} from './wasm-params';

/** A scan needs more memory than 32-bit WebAssembly has. */
export class ScanMemoryError extends Error {
  override readonly name = 'ScanMemoryError';
  constructor(
    readonly caller: string,
    readonly bytes: number,
  ) {
    super(
      `${caller}: arrays and scratch take ${bytes} bytes, expected at most ${maxBytes} (4 GiB of WebAssembly memory)`,
    );
  }
}

const pageBytes = 65536;
const maxPages = 65536;
const maxBytes = pageBytes * maxPages;
/** The first page is the modules' (static data); ours starts behind it with the parameter block. */
const firstFree = pageBytes + scanParamsBytes;

export interface ScanRuntimeOptions {
  /** Default: the fastest that the engine accepts. */
  readonly variant?: ScanVariant;
  /**
   * Into how many slices a kernel's work is cut; they run one after the other, and the result has the same bits for
   * any number. Default 1.
   */
  readonly slices?: number;
}

interface Slot {
  readonly address: number;
  readonly length: number;
}

/** The arrays of one call: addresses as they are handed out, contents when the memory is large enough. */
class Arena {
  private next = firstFree;
  private readonly inputs: { slot: Slot; source: Float32Array | Int32Array | Uint8Array }[] = [];

  reserve(bytes: number): number {
    const address = this.next;
    this.next += Math.ceil(bytes / 16) * 16;
    return address;
  }

  output(length: number): Slot {
    return { address: this.reserve(4 * length), length };
  }

  input(source: Float32Array | Int32Array | Uint8Array | undefined): number {
    if (source === undefined) return 0;
    const slot = { address: this.reserve(source.byteLength), length: source.length };
    this.inputs.push({ slot, source });
    return slot.address;
  }

  get bytes(): number {
    return this.next;
  }

  fill(buffer: ArrayBuffer): void {
    for (const { slot, source } of this.inputs) {
      const bytes = new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
      new Uint8Array(buffer, slot.address, bytes.length).set(bytes);
    }
  }
}

/** Inputs must have been validated (checkScanInputs): lengths are trusted here. */
export class ScanRuntime {
  readonly variant: ScanVariant;
  private readonly slices: number;
  private readonly memory: WebAssembly.Memory;
  private readonly kernels: ScanKernelExports;

  constructor(options: ScanRuntimeOptions = {}) {
    this.variant = options.variant ?? detectScanVariant();
    this.slices = options.slices ?? 1;
    this.memory = new WebAssembly.Memory({ initial: 2, maximum: maxPages });
    this.kernels = instantiateScanKernels(compileScanModule(this.variant, false), this.memory);
  }

  forward(shape: ScanShape, inputs: ScanInputs, options: ScanOptions): ScanOutput {
    const arena = new Arena();
    const y = arena.output(scanSize(shape, 'y'));
    const lastState = arena.output(scanSize(shape, 'lastState'));
    const pointers = { ...inputPointers(arena, inputs), y: y.address, lastState: lastState.address };
    this.run('forward', 'selectiveScan', arena, shape, inputs, pointers, options);
    return { y: this.read(y), lastState: this.read(lastState) };
  }

  backward(shape: ScanShape, inputs: ScanInputs, gradients: ScanOutputGradients, options: ScanOptions): ScanGradients {
    const arena = new Arena();
    const slots = scanArguments
      .filter((name) => inputs[name] !== undefined)
      .map((name) => [name, arena.output(scanSize(shape, name))] as const);
    const targets = slots.map(
      ([name, { address }]) => [`grad${name[0].toUpperCase()}${name.slice(1)}`, address] as const,
    );
    const pointers = {
      ...inputPointers(arena, inputs),
      gradY: arena.input(gradients.y),
      gradLastState: arena.input(gradients.lastState),
      ...Object.fromEntries(targets),
    };
    this.run('backward', 'selectiveScanBackward', arena, shape, inputs, pointers, options);
    return Object.fromEntries(slots.map(([name, slot]) => [name, this.read(slot)])) as unknown as ScanGradients;
  }

  /** Updates `state` in place and returns y. */
  stateUpdate(shape: ScanShape, state: Float32Array, inputs: ScanInputs, options: ScanOptions): Float32Array {
    const arena = new Arena();
    const y = arena.output(scanSize(shape, 'y'));
    const pointers = inputPointers(arena, { ...inputs, initialState: state });
    const address = pointers.initialState ?? 0;
    this.run(
      'stateUpdate',
      'selectiveStateUpdate',
      arena,
      shape,
      inputs,
      { ...pointers, y: y.address, lastState: address },
      options,
    );
    state.set(new Float32Array(this.memory.buffer, address, state.length));
    return this.read(y);
  }

  private run(
    kernel: ScanKernel,
    caller: string,
    arena: Arena,
    shape: ScanShape,
    inputs: ScanInputs,
    pointers: ScanPointers,
    options: ScanOptions,
  ): void {
    const threads = this.slices;
    const scratch = arena.reserve(scanScratchBytes(shape, kernel, threads));
    this.grow(arena.bytes, caller);
    arena.fill(this.memory.buffer);
    writeScanParams(new DataView(this.memory.buffer), pageBytes, {
      kernel,
      shape,
      pointers,
      deltaSoftplus: options.deltaSoftplus ?? false,
      resetsAreBytes: inputs.resets instanceof Uint8Array,
      scratch,
      threads,
    });
    for (const name of scanExports[kernel]) {
      for (let tid = 0; tid < threads; tid++) this.kernels[name](pageBytes, tid, threads);
    }
  }

  private grow(bytes: number, caller: string): void {
    if (bytes > maxBytes) throw new ScanMemoryError(caller, bytes);
    const missing = Math.ceil((bytes - this.memory.buffer.byteLength) / pageBytes);
    if (missing > 0) this.memory.grow(missing);
  }

  private read({ address, length }: Slot): Float32Array {
    return new Float32Array(this.memory.buffer, address, length).slice();
  }
}

function inputPointers(arena: Arena, inputs: ScanInputs): ScanPointers {
  return {
    ...{ u: arena.input(inputs.u), delta: arena.input(inputs.delta) },
    ...{ A: arena.input(inputs.A), B: arena.input(inputs.B), C: arena.input(inputs.C) },
    ...{ D: arena.input(inputs.D), z: arena.input(inputs.z), deltaBias: arena.input(inputs.deltaBias) },
    ...{ initialState: arena.input(inputs.initialState), resets: arena.input(inputs.resets) },
  };
}

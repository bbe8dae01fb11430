import type { DeviceBuffer, Executable, Recording } from '../backend';
import type { Device } from '../device';
import { byteSize } from '../dtype';
import { DeviceError, TensorError } from '../errors';
import { Node } from '../graph/node';
import { scope } from '../scope';
import { formatShape, type Shape, sizeOf } from '../shape';
import { Tensor } from '../tensor';
import { currentMemory, type Trace, withTrace } from '../trace';
import { type BuiltProgram, buildProgram } from './build-program';
import { DerivedValues } from './derived-values';
import { describeProgram, type ProgramReport } from './explain';
import { mapTensors, type StepResult } from './step-result';

export interface CompiledStep<A extends readonly Tensor[], R extends StepResult> {
  /** Runs the step. The tensors of the result belong to the step: the next call overwrites them (read or copy them first). */
  (...args: A): R;
  /** What runs where, one report per input signature seen so far. */
  explain(): readonly ProgramReport[];
  /**
   * Runs the step once, as a call does (state is updated), and measures each of its parts: the report with times, which `explain` keeps showing.
   * Call it a second time for figures without the first run's costs. @throws DeviceError where the device has no timestamps
   */
  profile(...args: A): Promise<ProgramReport>;
  /** Frees arenas, inputs and outputs. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/**
 * Turns a function of tensors into a program that is planned once per input signature and then replayed: no tracing, no graph nodes, no device
 * allocations. Variables are read at their current value; `assign` on them happens in place.
 *
 * The function is called once per new signature (shapes and types of the arguments). It cannot read values, and everything random must come
 * from a RandomGenerator. A fault on the device (a token id outside its table) throws OutOfRangeError and leaves assigned variables alone.
 */
export function compile<A extends readonly Tensor[], R extends StepResult>(step: (...args: A) => R): CompiledStep<A, R> {
  const traced = new Map<string, TracedStep<R>>();
  const find = (args: A): TracedStep<R> => {
    let signature = '';
    for (const a of args) signature += `${a.dtype}(${a.shape.join(', ')}) `;
    let entry = traced.get(signature);
    if (!entry) traced.set(signature, (entry = new TracedStep(step as (...args: readonly Tensor[]) => R, args, signature.trim())));
    return entry;
  };
  const call = (...args: A): R => find(args).run(args);
  const dispose = (): void => {
    for (const t of traced.values()) t.dispose();
    traced.clear();
  };
  const explain = (): ProgramReport[] => [...traced.values()].map((t) => t.report());
  return Object.assign(call, { explain, profile: (...args: A) => find(args).profile(args), dispose, [Symbol.dispose]: dispose });
}

/** A leaf with memory of its own. */
function leafWithMemory(device: Device, shape: Shape, dtype: Node['dtype']): Node {
  const node = new Node(device, { kind: 'leaf' }, [], shape, dtype);
  node.buffer = device.allocateBuffer(sizeOf(shape) * byteSize(dtype));
  return node;
}

/** One signature of a compiled step: the program, its memory and its recording. */
class TracedStep<R extends StepResult> {
  private readonly device: Device;
  /** The arguments are copied into these before a replay. */
  private readonly inputs: readonly Node[];
  private readonly result: R;
  private readonly outputs: Tensor[] = [];
  private readonly outputBuffers: readonly DeviceBuffer[];
  private readonly trace: Trace = { read: new Map(), assigned: new Map() };
  /** Captured tensors that are no variables. */
  private readonly constants: Node[] = [];
  private readonly built: BuiltProgram;
  private readonly executable: Executable;
  private readonly arena: DeviceBuffer | null;
  private readonly derived: DerivedValues | null;
  private readonly externals: DeviceBuffer[] = [];
  private recording: Recording | null = null;
  /** Nanoseconds per step, once measured. */
  private times: readonly number[] | null = null;

  constructor(step: (...args: readonly Tensor[]) => R, args: readonly Tensor[], private readonly signature: string) {
    this.inputs = args.map((a) => leafWithMemory(a.device, a.shape, a.dtype));
    const { trace } = this;
    const nodes: Node[] = [];
    let template = undefined as R;
    // The handles of the trace die with the scope; the nodes they stood on are kept until the program is built.
    scope(() => {
      withTrace(trace, () => {
        template = step(...this.inputs.map((n) => new Tensor(n)));
        template = mapTensors(template, (t) => {
          nodes.push(t.node);
          return t;
        });
      });
      for (const node of [...this.inputs, ...nodes, ...trace.assigned.values()]) node.retain();
    });
    const device = nodes[0]?.device ?? [...trace.assigned.keys()][0]?.device;
    if (!device) throw new TensorError('compile: the step returns and assigns nothing: there is nothing to run');
    this.device = device;
    this.derived = DerivedValues.take([...nodes, ...trace.assigned.values()], trace, this.inputs, device);

    const distinct = [...new Set(nodes)];
    const results = [
      ...distinct.map((node) => ({ node, target: null })),
      ...[...trace.assigned].map(([variable, node]) => ({ node, target: variable.leaf })),
    ];
    for (const variable of trace.assigned.keys()) trace.read.set(variable.leaf, variable);
    for (const { node } of results) {
      if (node.device !== device) throw new DeviceError(`compile: results are on different devices (${device.name} and ${node.device.name})`);
    }
    this.built = buildProgram(results, device.backend);
    this.executable = device.backend.prepare(this.built.program);

    const leaves = distinct.map((node) => leafWithMemory(device, node.shape, node.dtype));
    this.outputBuffers = leaves.map((leaf) => leaf.memory());
    let next = 0;
    this.result = mapTensors(template, () => {
      const tensor = new Tensor(leaves[distinct.indexOf(nodes[next++])]);
      this.outputs.push(tensor);
      return tensor;
    });
    for (const binding of this.built.bindings) {
      if ('leaf' in binding && !this.inputs.includes(binding.leaf) && !trace.read.has(binding.leaf)) {
        binding.leaf.retain();
        this.constants.push(binding.leaf);
      }
    }
    for (const node of [...nodes, ...trace.assigned.values()]) node.release();
    const { arenaBytes } = this.built.program;
    this.arena = arenaBytes > 0 ? device.allocateBuffer(arenaBytes) : null;
  }

  run(args: readonly Tensor[]): R {
    this.makeReady(args);
    (this.recording as unknown as Recording).replay();
    return this.result;
  }

  async profile(args: readonly Tensor[]): Promise<ProgramReport> {
    if (!this.executable.profile) throw new DeviceError(`profile: the ${this.device.name} device has no timestamps`);
    this.makeReady(args);
    this.times = await this.executable.profile(this.externals, this.arena);
    return this.report();
  }

  /** Everything before the run itself: arguments, bindings, derived values. */
  private makeReady(args: readonly Tensor[]): void {
    const { backend } = this.device;
    for (let i = 0; i < args.length; i++) {
      const source = args[i].realize().node;
      if (source.device !== this.device) throw new DeviceError(`compiled step: argument ${i} is on ${source.device.name}, expected ${this.device.name}`);
      const memory = source.memory();
      backend.copy(memory, this.inputs[i].memory(), sizeOf(source.shape) * byteSize(source.dtype));
    }
    this.refusePendingReaders();
    if (!this.recording || this.moved()) this.record();
    this.derived?.refresh();
    for (const v of this.trace.assigned.keys()) v.version++;
  }

  report(): ProgramReport {
    return describeProgram(this.signature, this.built.program, this.executable, this.device, this.times);
  }

  dispose(): void {
    this.recording?.dispose();
    this.recording = null;
    this.derived?.dispose();
    for (const t of this.outputs) t.dispose();
    for (const n of [...this.inputs, ...this.constants]) n.release();
    if (this.arena) this.device.freeBuffer(this.arena);
  }

  /** A pending expression over memory that is about to be overwritten would silently see new values. */
  private refusePendingReaders(): void {
    for (const t of this.outputs) {
      let own = 0;
      for (const o of this.outputs) if (!o.isDisposed && o.node === t.node) own++;
      if (t.node.referenceCount > own) this.refuse(`its result of shape ${formatShape(t.shape)}`);
    }
    for (const v of this.trace.assigned.keys()) {
      if (v.leaf.referenceCount > 1) this.refuse(`the variable of shape ${formatShape(v.shape)} that it updates`);
    }
  }

  private refuse(what: string): never {
    throw new TensorError(`compiled step: ${what} is still used by a tensor outside; compute (realize, data) or dispose that tensor first`);
  }

  private memoryOf(binding: BuiltProgram['bindings'][number]): DeviceBuffer {
    return 'result' in binding ? this.outputBuffers[binding.result] : currentMemory(binding.leaf, this.trace);
  }

  private moved(): boolean {
    const { bindings } = this.built;
    for (let i = 0; i < bindings.length; i++) if (this.memoryOf(bindings[i]) !== this.externals[i]) return true;
    return false;
  }

  private record(): void {
    this.recording?.dispose();
    this.built.bindings.forEach((binding, i) => {
      this.externals[i] = this.memoryOf(binding);
    });
    this.recording = this.executable.record(this.externals, this.arena);
  }
}

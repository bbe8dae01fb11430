import type { DeviceBuffer, Executable } from '../backend';
import type { Device } from '../device';
import { byteSize } from '../dtype';
import { type Node, topologicalOrder } from '../graph/node';
import { sizeOf } from '../shape';
import { currentMemory, type Trace } from '../trace';
import type { Variable } from '../variable';
import { type BuiltProgram, buildProgram } from './build-program';

/**
 * The `derived` values of a compiled step that hang on nothing but constants and variables that the step leaves alone. They live in memory of
 * their own between calls; a small program computes them before the first call, and again after one of those variables has changed.
 */
export class DerivedValues {
  private readonly built: BuiltProgram;
  private readonly executable: Executable;
  private readonly arena: DeviceBuffer | null;
  private readonly buffers: readonly DeviceBuffer[];
  private readonly variables: readonly Variable[];
  /** Of the variables, when the values were computed; null before the first time. */
  private versions: number[] | null = null;
  /** Captured tensors that are no variables. */
  private readonly constants: Node[] = [];

  /** Turns such values under `roots` into leaves, for the step's own program to read; null if there are none. */
  static take(roots: readonly Node[], trace: Trace, inputs: readonly Node[], device: Device): DerivedValues | null {
    const changes = new Set<Node>(inputs);
    for (const variable of trace.assigned.keys()) changes.add(variable.leaf);
    const fixed = new Map<Node, boolean>();
    const found: Node[] = [];
    for (const node of topologicalOrder(roots)) {
      const own = node.isLeaf ? !changes.has(node) : node.inputs.every((x) => fixed.get(x));
      fixed.set(node, own);
      if (own && node.op.kind === 'derived') found.push(node);
    }
    return found.length > 0 ? new DerivedValues(found, trace, device) : null;
  }

  private constructor(
    private readonly nodes: readonly Node[],
    private readonly trace: Trace,
    private readonly device: Device,
  ) {
    this.built = buildProgram(nodes.map((node) => ({ node, target: null })), device.backend);
    this.executable = device.backend.prepare(this.built.program);
    const read = new Set<Variable>();
    for (const binding of this.built.bindings) {
      if (!('leaf' in binding)) continue;
      const variable = trace.read.get(binding.leaf);
      if (variable) read.add(variable);
      else this.constants.push(binding.leaf);
    }
    for (const node of [...nodes, ...this.constants]) node.retain();
    this.variables = [...read];
    this.buffers = nodes.map((node) => device.allocateBuffer(sizeOf(node.shape) * byteSize(node.dtype)));
    nodes.forEach((node, i) => node.settle(this.buffers[i]));
    const { arenaBytes } = this.built.program;
    this.arena = arenaBytes > 0 ? device.allocateBuffer(arenaBytes) : null;
  }

  /** Brings the values up to date: nothing to do in all but the first call, usually. */
  refresh(): void {
    const { variables, versions } = this;
    let current = versions !== null;
    for (let i = 0; current && i < variables.length; i++) current = versions?.[i] === variables[i].version;
    if (current) return;
    this.executable.run(this.built.bindings.map((b) => ('result' in b ? this.buffers[b.result] : currentMemory(b.leaf, this.trace))), this.arena);
    this.versions = variables.map((v) => v.version);
  }

  dispose(): void {
    for (const node of [...this.nodes, ...this.constants]) node.release();
    if (this.arena) this.device.freeBuffer(this.arena);
  }
}

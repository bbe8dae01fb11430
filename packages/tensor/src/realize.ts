import type { DeviceBuffer } from './backend';
import { buildProgram } from './compile/build-program';
import { byteSize } from './dtype';
import { DeviceError } from './errors';
import { type Node, topologicalOrder } from './graph/node';
import { sizeOf } from './shape';
import { forbidInTrace } from './trace';

/** Computes nodes now, all in one program; they are leaves afterwards. */
export function realizeNodes(nodes: readonly Node[]): void {
  const pending = [...new Set(nodes)].filter((n) => !n.isLeaf);
  if (pending.length === 0) return;
  forbidInTrace('realize()');
  const device = pending[0].device;
  for (const node of pending) {
    if (node.device !== device) throw new DeviceError(`realize: tensors are on different devices (${device.name} and ${node.device.name})`);
  }
  const { program, bindings } = buildProgram(pending.map((node) => ({ node, target: null })), device.backend);
  const owned: DeviceBuffer[] = [];
  const allocate = (bytes: number): DeviceBuffer => {
    const buffer = device.allocateBuffer(bytes);
    owned.push(buffer);
    return buffer;
  };
  try {
    // The leaves first: a disposed one is an error before anything is allocated.
    const leaves = bindings.map((b) => ('leaf' in b ? b.leaf.memory() : null));
    const executable = device.backend.prepare(program);
    const results = pending.map((node) => allocate(sizeOf(node.shape) * byteSize(node.dtype)));
    const arena = program.arenaBytes > 0 ? allocate(program.arenaBytes) : null;
    executable.run(bindings.map((b, i) => leaves[i] ?? results[(b as { result: number }).result]), arena);
    const through = topologicalOrder(pending).filter((n) => !n.isLeaf && !pending.includes(n));
    pending.forEach((node, i) => node.settle(results[i]));
    // Users first: a node whose last reader let go may follow.
    for (const node of through.reverse()) node.letGo();
    if (arena) device.freeBuffer(arena);
  } catch (error) {
    for (const buffer of owned) device.freeBuffer(buffer);
    throw error;
  }
}


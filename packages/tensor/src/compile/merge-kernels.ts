import { accessKey, type Buffer, type DraftAccess, KernelBuilder } from './kernel-builder';
import { type DraftStep, reads } from './schedule';

/**
 * Joins an elementwise kernel with the elementwise kernel that reads its result point by point: one pass over memory instead of two, and a
 * launch less. The result keeps both stores when others still read the first value: an AdamW update becomes one kernel with three stores. No
 * kernel comes to touch more than `maxBuffers` buffers.
 * Order is kept legal: the producer moves down to its consumer only past steps that do not read it.
 */
export function mergeKernels(steps: DraftStep[], kept: ReadonlySet<Buffer>, maxBuffers: number): DraftStep[] {
  let list = steps;
  for (let at = 0; at < list.length; at++) {
    const consumer = list[at];
    if (consumer.kind !== 'kernel' || consumer.builder.reduces.length > 0) continue;
    for (let before = at - 1; before >= 0; before--) {
      const producer = list[before];
      if (producer.kind !== 'kernel' || !mergeable(producer.builder, consumer.builder)) continue;
      const written = producer.builder.stores.map((s) => s.access.buffer);
      const between = list.slice(before + 1, at);
      if (between.some((s) => reads(s).some((b) => written.includes(b)))) continue;
      const others = new Set<Buffer>(kept);
      list.forEach((s, i) => {
        if (i !== at) for (const b of reads(s)) others.add(b);
      });
      const merged = merge(producer.builder, consumer.builder, others);
      if (buffersOf(merged) > maxBuffers) continue;
      list = [...list.slice(0, before), ...between, { kind: 'kernel', builder: merged }, ...list.slice(at + 1)];
      at -= 2; // look at the merged kernel again: it may have more producers
      break;
    }
  }
  return list;
}

function buffersOf(kernel: KernelBuilder): number {
  return new Set([...kernel.loads.map((l) => l.buffer), ...kernel.stores.map((s) => s.access.buffer)]).size;
}

function mergeable(producer: KernelBuilder, consumer: KernelBuilder): boolean {
  if (producer.reduces.length > 0 || producer.domain.join() !== consumer.domain.join()) return false;
  if (producer.instructionCount + consumer.instructionCount > 200) return false;
  let linked = false;
  for (const store of producer.stores) {
    const uses = consumer.loads.filter((l) => l.buffer === store.access.buffer);
    for (const use of uses) if (accessKey(use) !== accessKey(store.access)) return false;
    // A half-precision store rounds: the consumer must see the rounded value, so it loads it.
    if (uses.length > 0 && store.access.buffer.dtype !== 'float32' && store.access.buffer.dtype !== 'int32') return false;
    linked ||= uses.length > 0;
  }
  return linked;
}

function merge(producer: KernelBuilder, consumer: KernelBuilder, others: ReadonlySet<Buffer>): KernelBuilder {
  const out = new KernelBuilder(consumer.domain);
  const forwarded = new Map<Buffer, number>();
  const copy = (from: KernelBuilder): number[] => {
    const values: number[] = [];
    for (const x of from.finish().body) {
      if (x.op === 'load') {
        const access = from.loads[x.load];
        values.push(forwarded.get(access.buffer) ?? out.emitLoad(access.buffer, access, access.guards, x.dtype));
      } else {
        values.push(out.emit('args' in x ? ({ ...x, args: x.args.map((a) => values[a]) } as unknown as typeof x) : x));
      }
    }
    for (const { access, value } of from.stores) {
      forwarded.set(access.buffer, values[value]);
      if (from === consumer || others.has(access.buffer)) out.store(access.buffer, access as DraftAccess, values[value]);
    }
    return values;
  };
  copy(producer);
  copy(consumer);
  out.label.push(...producer.label, ...consumer.label);
  return out;
}

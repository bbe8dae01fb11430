import { describe, expect, test } from 'vitest';
import { heapStart } from '../../src/cpu/control';
import { Heap } from '../../src/cpu/heap';
import { randomSource } from './bare-backend';

const page = 65536;
const heapOf = (initialPages: number, maximumPages: number): { heap: Heap; memory: WebAssembly.Memory } => {
  const memory = new WebAssembly.Memory({ initial: initialPages, maximum: maximumPages });
  return { heap: new Heap(memory, maximumPages * page), memory };
};

describe('heap', () => {
  test('blocks are aligned, behind the reserved page, and reused after free', () => {
    const { heap } = heapOf(1, 16);
    const a = heap.allocate(1);
    const b = heap.allocate(100);
    expect(a).toBe(heapStart);
    expect(a % 64).toBe(0);
    expect(b % 64).toBe(0);
    expect(heap.bytesInUse).toBe(64 + 128);
    heap.free(a);
    expect(heap.allocate(64)).toBe(a);
  });

  test('neighbours merge: all memory is one block again when everything is freed, in any order', () => {
    const { heap, memory } = heapOf(9, 9);
    const random = randomSource(2);
    const blocks = Array.from({ length: 64 }, () => heap.allocate(8192));
    expect(() => heap.allocate(64)).toThrow('out of memory');
    for (const block of blocks.toSorted(() => random() - 0.5)) heap.free(block);
    expect(heap.bytesInUse).toBe(0);
    const all = heap.allocate(memory.buffer.byteLength - heapStart);
    expect(all).toBe(heapStart);
  });

  test('grows the memory as needed and says clearly when it is exhausted', () => {
    const { heap, memory } = heapOf(1, 32);
    const large = heap.allocate(20 * page);
    expect(memory.buffer.byteLength).toBeGreaterThanOrEqual(21 * page);
    expect(() => heap.allocate(12 * page)).toThrow(
      'cpu: out of memory: 0.8 MiB asked for, 1.3 MiB in use, limit 2.0 MiB',
    );
    expect(heap.allocate(11 * page)).toBe(large + 20 * page);
    expect(() => heap.allocate(1)).toThrow('out of memory');
    heap.free(large);
    expect(heap.allocate(20 * page)).toBe(large);
  });

  test('a host that refuses to grow is out of memory, not in an endless loop', () => {
    const heap = new Heap(
      {
        buffer: new ArrayBuffer(page),
        grow: () => {
          throw new RangeError('no');
        },
      },
      100 * page,
    );
    expect(() => heap.allocate(64)).toThrow('out of memory');
  });

  test('freeing what is not allocated is an error', () => {
    const { heap } = heapOf(2, 2);
    const a = heap.allocate(64);
    heap.free(a);
    expect(() => heap.free(a)).toThrow(`free of address ${a}, which is not allocated`);
  });

  test('stress: live blocks never overlap and keep their contents', () => {
    const { heap, memory } = heapOf(1, 256);
    const random = randomSource(11);
    const live: { at: number; size: number; mark: number }[] = [];
    let mark = 0;
    for (let turn = 0; turn < 20000; turn++) {
      if (live.length > 0 && random() < 0.5) {
        const [{ at, size, mark: expected }] = live.splice(Math.floor(random() * live.length), 1);
        const view = new Int32Array(memory.buffer, at, size >> 2);
        expect(view[0] === expected && view[view.length - 1] === expected).toBe(true);
        heap.free(at);
      } else {
        const size = 4 * Math.ceil(2 ** (random() * 14));
        const at = heap.allocate(size);
        expect(at >= heapStart && at + size <= memory.buffer.byteLength).toBe(true);
        new Int32Array(memory.buffer, at, size >> 2).fill(++mark);
        live.push({ at, size, mark });
      }
    }
    const sorted = live.toSorted((a, b) => a.at - b.at);
    for (let i = 1; i < sorted.length; i++)
      expect(sorted[i].at).toBeGreaterThanOrEqual(sorted[i - 1].at + sorted[i - 1].size);
    for (const { at, size, mark: expected } of live)
      expect(new Int32Array(memory.buffer, at, size >> 2).every((v) => v === expected)).toBe(true);
    for (const { at } of live) heap.free(at);
    expect(heap.bytesInUse).toBe(0);
  });

  test('many blocks stay fast: allocation does not search linearly', () => {
    const { heap } = heapOf(1, 16384);
    const blocks = Array.from({ length: 50000 }, (_, i) => heap.allocate(64 * (1 + (i % 3))));
    const start = performance.now();
    for (let i = 0; i < blocks.length; i += 2) heap.free(blocks[i]);
    for (let i = 0; i < blocks.length; i += 2) blocks[i] = heap.allocate(64 * (1 + (i % 3)));
    // Linear search takes minutes here; this takes tens of milliseconds.
    expect(performance.now() - start).toBeLessThan(5000);
  });
});

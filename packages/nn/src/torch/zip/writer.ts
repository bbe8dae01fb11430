import { crc32 } from './crc32';
import { viewOf } from './directory';
import {
  ALL_ONES_16,
  ALL_ONES_32,
  CENTRAL_HEADER,
  CENTRAL_HEADER_BYTES,
  END_OF_DIRECTORY,
  END_OF_DIRECTORY_BYTES,
  LOCAL_HEADER,
  LOCAL_HEADER_BYTES,
  ZIP64_END_OF_DIRECTORY,
  ZIP64_END_OF_DIRECTORY_BYTES,
  ZIP64_EXTRA,
  ZIP64_LOCATOR,
  ZIP64_LOCATOR_BYTES,
} from './signatures';

/** Names are UTF-8. */
const FLAGS = 0x0800;
const VERSION_NEEDED = 20;
const VERSION_NEEDED_ZIP64 = 45;
/** 1980-01-01, the format's first day: the same content gives the same file on any day. */
const DATE = 0x0021;
/** PyTorch's: contents begin at multiples of it, so that a file can be mapped into memory. */
const ALIGNMENT = 64;
/** The extra field that pads an entry's header, as PyTorch names it: 'FB'. */
const PADDING_EXTRA = 0x4246;
const PADDING_BYTE = 0x5a;

interface Written {
  readonly name: Uint8Array;
  readonly size: number;
  readonly sum: number;
  readonly offset: number;
}

/** Writes an archive of stored entries piece by piece, ZIP64 where sizes or places need it. */
export class ZipWriter {
  private readonly written: Written[] = [];
  private at = 0;

  /** The pieces of one entry: its header, then `content` itself. */
  *entry(path: string, content: Uint8Array): Generator<Uint8Array, void, undefined> {
    const name = new TextEncoder().encode(path);
    const sum = crc32(content);
    this.written.push({ name, size: content.length, sum, offset: this.at });
    const header = localHeader(name, content.length, sum, this.at);
    this.at += header.length + content.length;
    yield header;
    if (content.length > 0) yield content;
  }

  /** The directory, which ends the file. */
  *end(): Generator<Uint8Array, void, undefined> {
    const offset = this.at;
    for (const entry of this.written) {
      const header = centralHeader(entry);
      this.at += header.length;
      yield header;
    }
    yield endRecords(this.written.length, this.at - offset, offset);
  }
}

function localHeader(name: Uint8Array, size: number, sum: number, offset: number): Uint8Array {
  const wide = size >= ALL_ONES_32;
  const extraStart = LOCAL_HEADER_BYTES + name.length;
  const used = extraStart + (wide ? 20 : 0) + 4;
  const padding = (ALIGNMENT - ((offset + used) % ALIGNMENT)) % ALIGNMENT;
  const header = new Uint8Array(used + padding).fill(PADDING_BYTE);
  const view = viewOf(header);
  view.setUint32(0, LOCAL_HEADER, true);
  view.setUint16(4, wide ? VERSION_NEEDED_ZIP64 : VERSION_NEEDED, true);
  commonFields(view, 6, sum, wide ? ALL_ONES_32 : size, wide ? ALL_ONES_32 : size, name.length);
  view.setUint16(28, header.length - extraStart, true);
  header.set(name, LOCAL_HEADER_BYTES);
  let at = extraStart;
  if (wide) at = zip64Extra(view, at, [size, size]);
  view.setUint16(at, PADDING_EXTRA, true);
  view.setUint16(at + 2, padding, true);
  return header;
}

function centralHeader({ name, size, sum, offset }: Written): Uint8Array {
  const wide = [size, size, offset].filter((value) => value >= ALL_ONES_32);
  const extra = wide.length > 0 ? 4 + 8 * wide.length : 0;
  const header = new Uint8Array(CENTRAL_HEADER_BYTES + name.length + extra);
  const view = viewOf(header);
  const version = wide.length > 0 ? VERSION_NEEDED_ZIP64 : VERSION_NEEDED;
  view.setUint32(0, CENTRAL_HEADER, true);
  view.setUint16(4, version, true);
  view.setUint16(6, version, true);
  const stored = Math.min(size, ALL_ONES_32);
  commonFields(view, 8, sum, stored, stored, name.length);
  view.setUint16(30, extra, true);
  view.setUint32(42, Math.min(offset, ALL_ONES_32), true);
  header.set(name, CENTRAL_HEADER_BYTES);
  if (extra > 0) zip64Extra(view, CENTRAL_HEADER_BYTES + name.length, wide);
  return header;
}

/** Flags, method (0: stored), time, date, check sum, both sizes, length of the name: the same in both headers. */
function commonFields(
  view: DataView,
  at: number,
  sum: number,
  storedSize: number,
  size: number,
  nameLength: number,
): void {
  view.setUint16(at, FLAGS, true);
  view.setUint16(at + 2, 0, true);
  view.setUint16(at + 4, 0, true);
  view.setUint16(at + 6, DATE, true);
  view.setUint32(at + 8, sum, true);
  view.setUint32(at + 12, storedSize, true);
  view.setUint32(at + 16, size, true);
  view.setUint16(at + 20, nameLength, true);
}

function zip64Extra(view: DataView, at: number, values: readonly number[]): number {
  view.setUint16(at, ZIP64_EXTRA, true);
  view.setUint16(at + 2, 8 * values.length, true);
  values.forEach((value, i) => view.setBigUint64(at + 4 + 8 * i, BigInt(value), true));
  return at + 4 + 8 * values.length;
}

function endRecords(count: number, size: number, offset: number): Uint8Array {
  const wide = count >= ALL_ONES_16 || size >= ALL_ONES_32 || offset >= ALL_ONES_32;
  const zip64Bytes = wide ? ZIP64_END_OF_DIRECTORY_BYTES + ZIP64_LOCATOR_BYTES : 0;
  const records = new Uint8Array(zip64Bytes + END_OF_DIRECTORY_BYTES);
  const view = viewOf(records);
  if (wide) {
    view.setUint32(0, ZIP64_END_OF_DIRECTORY, true);
    view.setBigUint64(4, BigInt(ZIP64_END_OF_DIRECTORY_BYTES - 12), true);
    view.setUint16(12, VERSION_NEEDED_ZIP64, true);
    view.setUint16(14, VERSION_NEEDED_ZIP64, true);
    view.setBigUint64(24, BigInt(count), true);
    view.setBigUint64(32, BigInt(count), true);
    view.setBigUint64(40, BigInt(size), true);
    view.setBigUint64(48, BigInt(offset), true);
    view.setUint32(ZIP64_END_OF_DIRECTORY_BYTES, ZIP64_LOCATOR, true);
    view.setBigUint64(ZIP64_END_OF_DIRECTORY_BYTES + 8, BigInt(offset + size), true);
    view.setUint32(ZIP64_END_OF_DIRECTORY_BYTES + 16, 1, true);
  }
  view.setUint32(zip64Bytes, END_OF_DIRECTORY, true);
  view.setUint16(zip64Bytes + 8, Math.min(count, ALL_ONES_16), true);
  view.setUint16(zip64Bytes + 10, Math.min(count, ALL_ONES_16), true);
  view.setUint32(zip64Bytes + 12, Math.min(size, ALL_ONES_32), true);
  view.setUint32(zip64Bytes + 16, Math.min(offset, ALL_ONES_32), true);
  return records;
}

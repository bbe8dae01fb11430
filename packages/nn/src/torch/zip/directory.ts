import { quote } from '../../safetensors/error';
import type { RandomAccessSource } from '../../safetensors/source';
import { TorchFileError } from '../error';
import { readExactly } from '../exact-read';
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

/** One file of an archive, as its central directory describes it. */
export interface ZipEntry {
  readonly name: string;
  /** Bytes of the content. */
  readonly size: number;
  /** Where the entry's own header begins. */
  readonly headerOffset: number;
  /** Why the content cannot be read as it lies there; null if it can. */
  readonly unreadable: string | null;
}

/** An archive's directory. */
export interface ZipDirectory {
  readonly entries: ReadonlyMap<string, ZipEntry>;
  /** Contents end before it. */
  readonly directoryOffset: number;
}

/** A directory takes about 100 bytes an entry; the rest is names. */
const BYTES_PER_ENTRY = 1024;
const LONGEST_COMMENT = 0xffff;

const invalid = (message: string): TorchFileError => new TorchFileError('invalid-zip', message);

/**
 * Reads the central directory of a zip archive, ZIP64 too: names, places and sizes of its entries; no content.
 *
 * @throws TorchFileError when the file is no archive or the records contradict each other
 */
export async function readZipDirectory(source: RandomAccessSource, maxEntries: number): Promise<ZipDirectory> {
  const { count, size, offset } = await findDirectory(source);
  if (count > maxEntries) {
    throw new TorchFileError('limit', `archive lists ${count} entries, expected at most ${maxEntries}`);
  }
  if (size > maxEntries * BYTES_PER_ENTRY) {
    throw new TorchFileError('limit', `the archive's directory has ${size} bytes for ${count} entries`);
  }
  const bytes = await readExactly(source, offset, size);
  const view = viewOf(bytes);
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    const { entry, next } = readEntry(bytes, view, at);
    checkPath(entry.name);
    if (entries.has(entry.name)) throw invalid(`archive has two entries ${quote(entry.name)}`);
    if (entry.headerOffset + LOCAL_HEADER_BYTES + entry.size > offset) {
      throw invalid(`entry ${quote(entry.name)} of ${entry.size} bytes ends behind the archive's contents`);
    }
    entries.set(entry.name, entry);
    at = next;
  }
  if (at !== size) throw invalid(`the archive's directory has ${size} bytes, its ${count} entries take ${at}`);
  return { entries, directoryOffset: offset };
}

/** Where the content of a stored entry begins. Sizes come from the directory: a data descriptor adds nothing to it. */
export async function contentOffset(
  source: RandomAccessSource,
  { directoryOffset }: ZipDirectory,
  entry: ZipEntry,
): Promise<number> {
  if (entry.unreadable !== null) {
    throw new TorchFileError('not-stored', `entry ${quote(entry.name)} ${entry.unreadable}, expected it stored`);
  }
  const header = viewOf(await readExactly(source, entry.headerOffset, LOCAL_HEADER_BYTES));
  if (header.getUint32(0, true) !== LOCAL_HEADER) throw invalid(`entry ${quote(entry.name)} has no header`);
  const nameLength = header.getUint16(26, true);
  const begin = entry.headerOffset + LOCAL_HEADER_BYTES + nameLength + header.getUint16(28, true);
  if (begin + entry.size > directoryOffset) {
    throw invalid(`entry ${quote(entry.name)} of ${entry.size} bytes ends behind the archive's contents`);
  }
  // Two names for one entry is how archives show one thing to a scanner and another to a reader.
  const name = await readExactly(source, entry.headerOffset + LOCAL_HEADER_BYTES, nameLength);
  if (decodeName(name) !== entry.name) {
    throw invalid(`entry ${quote(entry.name)} has another name in its own header: ${quote(decodeName(name))}`);
  }
  return begin;
}

/** Number of entries, bytes and place of the central directory. */
async function findDirectory(source: RandomAccessSource): Promise<{ count: number; size: number; offset: number }> {
  // Without a comment, as PyTorch writes it, the end record is the file's last 22 bytes.
  const found = (await findEnd(source, 0)) ?? (await findEnd(source, LONGEST_COMMENT));
  if (found === null) {
    throw new TorchFileError(
      'not-a-zip',
      'no end of a zip directory; files of PyTorch before 1.6 are no archives: save them again with a later one',
    );
  }
  const { tail, at, end } = found;
  let count = tail.getUint16(at + 10, true);
  let size = tail.getUint32(at + 12, true);
  let offset = tail.getUint32(at + 16, true);
  let limit = end;
  if (count === ALL_ONES_16 || size === ALL_ONES_32 || offset === ALL_ONES_32) {
    const record = await readZip64End(source, end);
    ({ count, size, offset } = record);
    limit = record.at;
  } else if (tail.getUint16(at + 8, true) !== count || tail.getUint16(at + 4, true) !== 0) {
    throw invalid('the archive is a part of several, expected one file');
  }
  if (offset + size > limit) throw invalid(`the archive's directory ends at byte ${offset + size}, behind ${limit}`);
  return { count, size, offset };
}

/** The end record, looked for before a comment of up to `comment` bytes. */
async function findEnd(
  source: RandomAccessSource,
  comment: number,
): Promise<{ tail: DataView; at: number; end: number } | null> {
  const bytes = Math.min(source.size, END_OF_DIRECTORY_BYTES + comment);
  const tail = viewOf(await readExactly(source, source.size - bytes, bytes));
  for (let at = bytes - END_OF_DIRECTORY_BYTES; at >= 0; at--) {
    const commentEnd = at + END_OF_DIRECTORY_BYTES + tail.getUint16(at + 20, true);
    if (tail.getUint32(at, true) === END_OF_DIRECTORY && commentEnd === bytes) {
      return { tail, at, end: source.size - bytes + at };
    }
  }
  return null;
}

async function readZip64End(
  source: RandomAccessSource,
  end: number,
): Promise<{ count: number; size: number; offset: number; at: number }> {
  const locatorAt = end - ZIP64_LOCATOR_BYTES;
  if (locatorAt < 0) throw invalid('the archive needs a ZIP64 record and has none');
  const locator = viewOf(await readExactly(source, locatorAt, ZIP64_LOCATOR_BYTES));
  const at = uint64(locator, 8);
  if (locator.getUint32(0, true) !== ZIP64_LOCATOR || at + ZIP64_END_OF_DIRECTORY_BYTES > locatorAt) {
    throw invalid('the archive needs a ZIP64 record and has none');
  }
  const record = viewOf(await readExactly(source, at, ZIP64_END_OF_DIRECTORY_BYTES));
  if (record.getUint32(0, true) !== ZIP64_END_OF_DIRECTORY) throw invalid("the archive's ZIP64 record is not there");
  return { count: uint64(record, 32), size: uint64(record, 40), offset: uint64(record, 48), at };
}

function readEntry(bytes: Uint8Array, view: DataView, at: number): { entry: ZipEntry; next: number } {
  if (at + CENTRAL_HEADER_BYTES > bytes.length || view.getUint32(at, true) !== CENTRAL_HEADER) {
    throw invalid(`the archive's directory has no entry at its byte ${at}`);
  }
  const flags = view.getUint16(at + 8, true);
  const method = view.getUint16(at + 10, true);
  const [nameLength, extraLength, commentLength] = [28, 30, 32].map((i) => view.getUint16(at + i, true)) as [
    number,
    number,
    number,
  ];
  const nameAt = at + CENTRAL_HEADER_BYTES;
  const extraAt = nameAt + nameLength;
  const next = extraAt + extraLength + commentLength;
  if (next > bytes.length) throw invalid(`the archive's directory ends inside an entry`);
  const name = decodeName(bytes.subarray(nameAt, extraAt));
  const wide = zip64Fields(view, extraAt, extraLength);
  // In this order, each only where the 32-bit field is all ones.
  const field = (i: number): number => {
    const value = view.getUint32(at + i, true);
    if (value !== ALL_ONES_32) return value;
    const extended = wide.shift();
    if (extended === undefined) throw invalid(`entry ${quote(name)} needs a ZIP64 field and has none`);
    return extended;
  };
  const size = field(24);
  const storedSize = field(20);
  const headerOffset = field(42);
  let unreadable: string | null = null;
  if ((flags & 1) !== 0) unreadable = 'is encrypted';
  else if (method !== 0) unreadable = `is compressed (method ${method})`;
  else if (storedSize !== size) throw invalid(`entry ${quote(name)} is stored in ${storedSize} bytes but has ${size}`);
  return { entry: { name, size, headerOffset, unreadable }, next };
}

/** The 64-bit numbers of the ZIP64 extra field. */
function zip64Fields(view: DataView, begin: number, length: number): number[] {
  const end = begin + length;
  for (let at = begin; at + 4 <= end;) {
    const bytes = view.getUint16(at + 2, true);
    if (at + 4 + bytes > end) return [];
    if (view.getUint16(at, true) === ZIP64_EXTRA) {
      return Array.from({ length: Math.floor(bytes / 8) }, (_, i) => uint64(view, at + 4 + 8 * i));
    }
    at += 4 + bytes;
  }
  return [];
}

/** Nothing is ever unpacked to a disk; a name that could leave its folder is refused all the same. */
function checkPath(name: string): void {
  const unsafe = name.startsWith('/') || /[\\\p{Cc}]|^[A-Za-z]:/u.test(name) || name.split('/').includes('..');
  if (unsafe || name === '') {
    throw new TorchFileError('unsafe-path', `archive has an entry ${quote(name)}, expected a path inside its folder`);
  }
}

function decodeName(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new TorchFileError('invalid-zip', 'an entry of the archive has a name that is not UTF-8', { cause });
  }
}

function uint64(view: DataView, at: number): number {
  const value = view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
  if (!Number.isSafeInteger(value)) throw invalid(`the archive has a size or place of ${value} bytes`);
  return value;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

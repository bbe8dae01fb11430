import { quote } from '../../safetensors/error';
import { TorchFileError } from '../error';
import { checkGlobal } from './globals';
import { opcodeName, opcodes as op } from './opcodes';
import { loadStorage, reduce } from './rebuild';
import { describe, Dict, GlobalName, List, type PickleValue, Tuple } from './values';

const LONGEST_NAME = 256;
const HIGHEST_PROTOCOL = 2;

function invalid(message: string): TorchFileError {
  return new TorchFileError('invalid-pickle', message);
}

/**
 * Runs a pickle of protocol 2 and gives the value it describes. A stack machine with the instructions and names that
 * state dicts need and no others; whatever it meets beyond them is an error that names it. It builds data: nothing in a
 * pickle can make it call anything.
 *
 * Memory is bounded by the pickle's length: no instruction copies more than it names.
 *
 * @throws TorchFileError
 */
export function runPickle(bytes: Uint8Array): PickleValue {
  return new Machine(bytes).run();
}

class Machine {
  private readonly view: DataView;
  private readonly utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  private at = 0;
  private readonly stack: PickleValue[] = [];
  /** Heights of the stack at each open MARK. */
  private readonly marks: number[] = [];
  private readonly memo: Map<number, PickleValue> = new Map();

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  run(): PickleValue {
    if (this.bytes[0] !== op.PROTO) throw invalid(`pickle starts with byte ${this.bytes[0]}, expected PROTO (0x80)`);
    for (;;) {
      const code = this.byte();
      if (code === op.STOP) break;
      this.execute(code);
    }
    const result = this.pop();
    if (this.stack.length > 0 || this.marks.length > 0) throw invalid('pickle ends with values left on its stack');
    if (this.at !== this.bytes.length) throw invalid(`pickle ends at byte ${this.at} of ${this.bytes.length}`);
    return result;
  }

  private execute(code: number): void {
    switch (code) {
      case op.PROTO:
        this.checkProtocol(this.byte());
        return;
      case op.MARK:
        this.marks.push(this.stack.length);
        return;
      case op.NONE:
        return this.push(null);
      case op.NEWTRUE:
        return this.push(true);
      case op.NEWFALSE:
        return this.push(false);
      case op.BININT:
        return this.push(this.number(4, (at) => this.view.getInt32(at, true)));
      case op.BININT1:
        return this.push(this.byte());
      case op.BININT2:
        return this.push(this.number(2, (at) => this.view.getUint16(at, true)));
      case op.LONG1:
        return this.push(this.long());
      case op.BINFLOAT:
        return this.push(this.number(8, (at) => this.view.getFloat64(at, false)));
      case op.BINUNICODE:
        return this.push(this.text(this.number(4, (at) => this.view.getUint32(at, true))));
      case op.GLOBAL:
        return this.push(new GlobalName(checkGlobal(this.line(), this.line())));
      case op.BINPERSID:
        return this.push(loadStorage(this.pop()));
      case op.REDUCE: {
        const args = this.pop();
        return this.push(reduce(this.pop(), args));
      }
      case op.BUILD:
        return this.build();
      case op.EMPTY_TUPLE:
        return this.push(new Tuple([]));
      case op.TUPLE:
        return this.push(new Tuple(this.popToMark()));
      case op.TUPLE1:
      case op.TUPLE2:
      case op.TUPLE3:
        return this.push(new Tuple(this.popLast(code - op.TUPLE1 + 1)));
      case op.EMPTY_LIST:
        return this.push(new List());
      case op.APPEND:
        return this.append(this.popLast(1));
      case op.APPENDS:
        return this.append(this.popToMark());
      case op.EMPTY_DICT:
        return this.push(new Dict());
      case op.SETITEM:
        return this.setItems(this.popLast(2));
      case op.SETITEMS:
        return this.setItems(this.popToMark());
      case op.BINPUT:
        this.memo.set(this.byte(), this.top());
        return;
      case op.LONG_BINPUT:
        this.memo.set(
          this.number(4, (at) => this.view.getUint32(at, true)),
          this.top(),
        );
        return;
      case op.BINGET:
        return this.push(this.remembered(this.byte()));
      case op.LONG_BINGET:
        return this.push(this.remembered(this.number(4, (at) => this.view.getUint32(at, true))));
      default:
        throw new TorchFileError(
          'forbidden-opcode',
          `pickle has instruction ${opcodeName(code)} at byte ${this.at - 1}, which no state dict needs; nothing was run`,
        );
    }
  }

  private checkProtocol(version: number): void {
    if (version > HIGHEST_PROTOCOL) throw invalid(`pickle is of protocol ${version}, expected at most 2`);
  }

  /** The attributes of an OrderedDict (`_metadata`) are of no use here. */
  private build(): void {
    const state = this.pop();
    const target = this.top();
    if (!(target instanceof Dict && state instanceof Dict)) {
      throw invalid(
        `pickle sets attributes of ${describe(target)} from ${describe(state)}, expected a dict's, from a dict`,
      );
    }
  }

  private append(items: readonly PickleValue[]): void {
    const list = this.top();
    if (!(list instanceof List)) throw invalid(`pickle appends to ${describe(list)}, expected a list`);
    for (const item of items) list.items.push(item);
  }

  private setItems(items: readonly PickleValue[]): void {
    const dict = this.top();
    if (!(dict instanceof Dict)) throw invalid(`pickle sets items of ${describe(dict)}, expected a dict`);
    if (items.length % 2 !== 0)
      throw invalid(`pickle sets items of a dict from ${items.length} values, expected pairs`);
    for (let i = 0; i < items.length; i += 2) dict.items.set(items[i]!, items[i + 1]!);
  }

  private push(value: PickleValue): void {
    this.stack.push(value);
  }

  /** A value above the last MARK. */
  private pop(): PickleValue {
    return this.popLast(1)[0]!;
  }

  private popLast(count: number): PickleValue[] {
    const floor = this.marks.at(-1) ?? 0;
    if (this.stack.length - floor < count) throw invalid(`pickle takes a value from an empty stack at byte ${this.at}`);
    return this.stack.splice(this.stack.length - count, count);
  }

  private popToMark(): PickleValue[] {
    const mark = this.marks.pop();
    if (mark === undefined) throw invalid(`pickle has no MARK for its byte ${this.at - 1}`);
    return this.stack.splice(mark);
  }

  private top(): PickleValue {
    const value = this.stack.at(-1);
    if (value === undefined || this.stack.length === (this.marks.at(-1) ?? 0)) {
      throw invalid(`pickle looks at an empty stack at byte ${this.at}`);
    }
    return value;
  }

  private remembered(index: number): PickleValue {
    const value = this.memo.get(index);
    if (value === undefined) throw invalid(`pickle asks for memo ${index}, which it never stored`);
    return value;
  }

  private take(count: number): number {
    const from = this.at;
    if (count > this.bytes.length - from) throw invalid(`pickle ends at byte ${this.bytes.length}, inside a value`);
    this.at += count;
    return from;
  }

  private byte(): number {
    return this.bytes[this.take(1)]!;
  }

  private number(bytes: number, read: (at: number) => number): number {
    return read(this.take(bytes));
  }

  /** A little-endian two's complement integer of 0 to 255 bytes; those beyond 2^53 are of no use here. */
  private long(): number {
    const count = this.byte();
    const from = this.take(count);
    let value = 0n;
    for (let i = count - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.bytes[from + i]!);
    const signed = BigInt.asIntN(Math.max(8 * count, 1), value);
    const number = Number(signed);
    if (!Number.isSafeInteger(number)) throw invalid(`pickle holds an integer of ${count} bytes beyond 2^53`);
    return number;
  }

  private text(length: number): string {
    const from = this.take(length);
    try {
      return this.utf8.decode(this.bytes.subarray(from, from + length));
    } catch (cause) {
      throw new TorchFileError('invalid-pickle', `pickle has a text at byte ${from} that is not UTF-8`, { cause });
    }
  }

  /** Up to a line feed: the two halves of GLOBAL. */
  private line(): string {
    const end = this.bytes.subarray(this.at, this.at + LONGEST_NAME + 1).indexOf(0x0a);
    if (end < 0) throw invalid(`pickle has a name at byte ${this.at} of more than ${LONGEST_NAME} bytes, or no end`);
    const text = this.text(end);
    this.at++;
    if (text === '') throw invalid(`pickle has an empty name: ${quote(text)}`);
    return text;
  }
}

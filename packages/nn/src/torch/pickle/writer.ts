import { bytesPerElement, type SafetensorsDtype } from '../../safetensors/dtype';
import { dtypeNames, functionNames, storageTypes, untypedStorage } from './globals';
import { opcodes as op } from './opcodes';

/** A tensor that fills its storage in row-major order. */
export interface StoredTensor {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** Which file `data/KEY` holds it. */
  readonly key: string;
}

const nameOf = <T extends string>(table: Readonly<Record<string, T>>, dtype: T): string | undefined =>
  Object.keys(table).find((name) => table[name] === dtype);

/** The pickle of an OrderedDict of tensors, as `torch.save` writes it for a state dict (protocol 2). */
export function pickleStateDict(tensors: readonly StoredTensor[]): Uint8Array {
  const out = new PickleWriter();
  out.codes(op.PROTO, 2);
  out.emptyOrderedDict();
  out.codes(op.MARK);
  for (const tensor of tensors) {
    out.text(tensor.name);
    out.tensor(tensor);
  }
  out.codes(op.SETITEMS, op.STOP);
  return out.bytes();
}

class PickleWriter {
  private readonly out: number[] = [];

  bytes(): Uint8Array {
    return Uint8Array.from(this.out);
  }

  codes(...codes: readonly number[]): void {
    this.out.push(...codes);
  }

  text(text: string): void {
    const utf8 = new TextEncoder().encode(text);
    this.codes(op.BINUNICODE);
    this.little(utf8.length, 4);
    for (const byte of utf8) this.out.push(byte);
  }

  emptyOrderedDict(): void {
    this.global(functionNames.orderedDict);
    this.codes(op.EMPTY_TUPLE, op.REDUCE);
  }

  /** `_rebuild_tensor_v2`; where a type has no storage class of its own, `_rebuild_tensor_v3` with the dtype's name. */
  tensor({ dtype, shape, key }: StoredTensor): void {
    const typed = nameOf(storageTypes, dtype);
    const count = shape.reduce((product, dim) => product * dim, 1);
    this.global(typed ? functionNames.tensorV2 : functionNames.tensorV3);
    this.codes(op.MARK, op.MARK);
    this.text('storage');
    this.global(typed ?? untypedStorage);
    this.text(key);
    this.text('cpu');
    this.integer(typed ? count : count * bytesPerElement(dtype));
    this.codes(op.TUPLE, op.BINPERSID);
    this.integer(0);
    this.integers(shape);
    this.integers(shape.map((_, axis) => shape.slice(axis + 1).reduce((product, dim) => product * dim, 1)));
    this.codes(op.NEWFALSE);
    this.emptyOrderedDict();
    if (!typed) this.global(nameOf(dtypeNames, dtype)!);
    this.codes(op.TUPLE, op.REDUCE);
  }

  private integers(values: readonly number[]): void {
    this.codes(op.MARK);
    for (const value of values) this.integer(value);
    this.codes(op.TUPLE);
  }

  private global(path: string): void {
    const dot = path.lastIndexOf('.');
    this.codes(op.GLOBAL);
    for (const byte of new TextEncoder().encode(`${path.slice(0, dot)}\n${path.slice(dot + 1)}\n`)) this.out.push(byte);
  }

  /** From 0 to 2^53. */
  private integer(value: number): void {
    if (value < 2 ** 8) this.codes(op.BININT1, value);
    else if (value < 2 ** 16) {
      this.codes(op.BININT2);
      this.little(value, 2);
    } else if (value < 2 ** 31) {
      this.codes(op.BININT);
      this.little(value, 4);
    } else {
      this.codes(op.LONG1, 8);
      this.little(value, 8);
    }
  }

  private little(value: number, bytes: number): void {
    for (let rest = value, i = 0; i < bytes; i++, rest = Math.floor(rest / 256)) this.out.push(rest % 256);
  }
}

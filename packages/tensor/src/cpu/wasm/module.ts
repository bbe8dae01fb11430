import { ByteWriter } from './bytes';
import { valueTypes, type ValueType } from './expression';
import type { FunctionBuilder } from './function';

export interface FunctionType {
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
}

/** Assembles one module: an imported memory, imported functions, functions, exports. */
export class ModuleBuilder {
  private readonly types: string[] = [];
  private readonly typeBytes = new ByteWriter();
  private readonly imports = new ByteWriter();
  private importCount = 0;
  private importedFunctions = 0;
  private readonly functionTypes: number[] = [];
  private readonly bodies: (Uint8Array | null)[] = [];
  private readonly exports: [string, number][] = [];

  private type({ parameters, results }: FunctionType): number {
    const key = `${parameters.join(',')}:${results.join(',')}`;
    const known = this.types.indexOf(key);
    if (known >= 0) return known;
    this.typeBytes.byte(0x60);
    for (const list of [parameters, results]) {
      this.typeBytes.u32(list.length);
      for (const type of list) this.typeBytes.byte(valueTypes[type]);
    }
    return this.types.push(key) - 1;
  }

  /** The linear memory, in 64 KiB pages. */
  importMemory(module: string, name: string, minimum: number, maximum: number, shared: boolean): void {
    this.imports.name(module);
    this.imports.name(name);
    this.imports.byte(0x02);
    this.imports.byte(shared ? 0x03 : 0x01);
    this.imports.u32(minimum);
    this.imports.u32(maximum);
    this.importCount++;
  }

  /** Gives the function's index. All imports come before the first `declare`. */
  importFunction(module: string, name: string, type: FunctionType): number {
    if (this.bodies.length > 0) throw new Error('imports come before functions');
    const typeIndex = this.type(type);
    this.imports.name(module);
    this.imports.name(name);
    this.imports.byte(0x00);
    this.imports.u32(typeIndex);
    this.importCount++;
    return this.importedFunctions++;
  }

  /** Reserves the index of a function that is defined later. */
  declare(type: FunctionType): number {
    this.functionTypes.push(this.type(type));
    return this.importedFunctions + this.bodies.push(null) - 1;
  }

  define(index: number, fn: FunctionBuilder): void {
    this.bodies[index - this.importedFunctions] = fn.finish();
  }

  add(fn: FunctionBuilder): number {
    const index = this.declare(fn);
    this.define(index, fn);
    return index;
  }

  export(name: string, index: number): void {
    this.exports.push([name, index]);
  }

  finish(): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter(4096);
    out.bytes([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
    const section = (id: number, write: (body: ByteWriter) => void): void => {
      const body = new ByteWriter(1024);
      write(body);
      out.byte(id);
      out.u32(body.length);
      out.bytes(body.finish());
    };
    section(1, (body) => {
      body.u32(this.types.length);
      body.bytes(this.typeBytes.finish());
    });
    section(2, (body) => {
      body.u32(this.importCount);
      body.bytes(this.imports.finish());
    });
    section(3, (body) => {
      body.u32(this.functionTypes.length);
      for (const type of this.functionTypes) body.u32(type);
    });
    section(7, (body) => {
      body.u32(this.exports.length);
      for (const [name, index] of this.exports) {
        body.name(name);
        body.byte(0x00);
        body.u32(index);
      }
    });
    section(10, (body) => {
      body.u32(this.bodies.length);
      for (const bytes of this.bodies) {
        if (bytes === null) throw new Error('a declared function was never defined');
        body.u32(bytes.length);
        body.bytes(bytes);
      }
    });
    return out.finish();
  }
}

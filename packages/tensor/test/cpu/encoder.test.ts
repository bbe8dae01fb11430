import { describe, expect, test } from 'vitest';
import { ByteWriter } from '../../src/cpu/wasm/bytes';
import { callExpr, FunctionBuilder } from '../../src/cpu/wasm/function';
import { ModuleBuilder } from '../../src/cpu/wasm/module';
import { atomic, f32x4, f64x2, i32, i32x4, i64x2, v128 } from '../../src/cpu/wasm/operators';
import type { V128 } from '../../src/cpu/wasm/expression';
import { floorDivide } from '../../src/cpu/wasm/affine';

function written(write: (w: ByteWriter) => void): number[] {
  const writer = new ByteWriter(1);
  write(writer);
  return [...writer.finish()];
}

describe('LEB128', () => {
  test.each([
    [0, [0]],
    [127, [0x7f]],
    [128, [0x80, 1]],
    [624485, [0xe5, 0x8e, 0x26]],
    [2 ** 32 - 1, [0xff, 0xff, 0xff, 0xff, 0x0f]],
  ])('unsigned %d', (value, bytes) => {
    expect(written((w) => w.u32(value))).toEqual(bytes);
  });

  test.each([
    [0, [0]],
    [-1, [0x7f]],
    [63, [0x3f]],
    [64, [0xc0, 0]],
    [-64, [0x40]],
    [-65, [0xbf, 0x7f]],
    [-123456, [0xc0, 0xbb, 0x78]],
    [-(2 ** 31), [0x80, 0x80, 0x80, 0x80, 0x78]],
    [2 ** 31 - 1, [0xff, 0xff, 0xff, 0xff, 0x07]],
  ])('signed %d', (value, bytes) => {
    expect(written((w) => w.s32(value))).toEqual(bytes);
    expect(written((w) => w.s64(BigInt(value)))).toEqual(bytes);
  });

  test('names are UTF-8 with their length', () => {
    expect(written((w) => w.name('é'))).toEqual([2, 0xc3, 0xa9]);
  });
});

function instance(build: (module: ModuleBuilder) => void): Record<string, (...args: number[]) => number> {
  const module = new ModuleBuilder();
  module.importMemory('host', 'memory', 1, 1, false);
  build(module);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  return new WebAssembly.Instance(new WebAssembly.Module(module.finish()), { host: { memory } }).exports as never;
}

describe('modules', () => {
  test('control flow: loops, blocks, branches, calls between functions', () => {
    const { sumTo, twice } = instance((module) => {
      const sum = new FunctionBuilder(['i32'], ['i32']);
      const total = sum.local('i32');
      const i = sum.local('i32');
      sum.block((out) => {
        sum.breakIf(i32.eqz(sum.parameter(0, 'i32')), out);
        sum.while(i32.ltS(i.get, sum.parameter(0, 'i32')), () => {
          sum.set(i, i32.add(i.get, i32.const(1)));
          sum.set(total, i32.add(total.get, i.get));
        });
      });
      sum.if(
        i32.gtS(total.get, i32.const(1000)),
        () => sum.set(total, i32.const(-1)),
        () => sum.set(total, i32.mul(total.get, i32.const(10))),
      );
      sum.return(total.get);
      sum.unreachable();
      const index = module.add(sum);
      const double = new FunctionBuilder(['i32'], ['i32']);
      double.return(
        i32.add(
          callExpr('i32', index, [double.parameter(0, 'i32')]),
          callExpr('i32', index, [double.parameter(0, 'i32')]),
        ),
      );
      double.unreachable();
      module.export('sumTo', index);
      module.export('twice', module.add(double));
    });
    expect([0, 1, 4, 100].map((n) => sumTo(n))).toEqual([0, 10, 100, -1]);
    expect(twice(4)).toBe(200);
  });

  test('floorDivide rounds down', () => {
    const { f } = instance((module) => {
      const fn = new FunctionBuilder(['i32'], ['i32']);
      fn.return(floorDivide(fn, fn.parameter(0, 'i32'), 3));
      fn.unreachable();
      module.export('f', module.add(fn));
    });
    expect([-7, -6, -1, 0, 1, 2, 3, 7].map((x) => f(x))).toEqual([-3, -2, -1, 0, 0, 0, 1, 2]);
  });

  test('equal constants share a local, and every builder of an instruction validates', () => {
    const { f } = instance((module) => {
      const fn = new FunctionBuilder(['i32'], ['i32']);
      const a = fn.parameter(0, 'i32');
      expect(fn.float(1)).toBe(fn.float(1));
      expect(fn.float(0)).not.toBe(fn.float(-0));
      const x = fn.int(7);
      const unary = (ops: Record<string, unknown>, names: string[]): void =>
        names.forEach((n) => fn.drop((ops[n] as (v: V128) => V128)(x)));
      const binary = (ops: Record<string, unknown>, names: string[]): void =>
        names.forEach((n) => fn.drop((ops[n] as (v: V128, w: V128) => V128)(x, x)));
      const shifts = (ops: Record<string, unknown>, names: string[]): void =>
        names.forEach((n) => fn.drop((ops[n] as (v: V128, w: typeof a) => V128)(x, a)));
      unary(v128, ['not']);
      binary(v128, ['and', 'andnot', 'or', 'xor']);
      fn.drop(v128.select(x, x, x));
      unary(i32x4, ['abs', 'neg', 'truncSatF32', 'truncSatF64Zero', 'extendLowU']);
      binary(i32x4, ['eq', 'ne', 'ltS', 'gtS', 'leS', 'geS', 'add', 'sub', 'mul', 'minS', 'maxS', 'narrowU']);
      shifts(i32x4, ['shl', 'shrS', 'shrU']);
      binary(i64x2, ['add', 'sub']);
      shifts(i64x2, ['shl', 'shrU']);
      for (const ops of [f32x4, f64x2]) {
        unary(ops, ['abs', 'neg', 'sqrt', 'floor', 'trunc']);
        binary(ops, ['add', 'sub', 'mul', 'div', 'min', 'max', 'pmin', 'pmax', 'eq', 'ne', 'lt', 'gt', 'le', 'ge']);
      }
      unary(f32x4, ['fromI32', 'fromF64Zero']);
      unary(f64x2, ['fromLowI32', 'fromLowF32']);
      for (const op of [
        i32.add,
        i32.sub,
        i32.mul,
        i32.and,
        i32.or,
        i32.eq,
        i32.ne,
        i32.ltS,
        i32.ltU,
        i32.gtS,
        i32.geS,
        i32.geU,
        i32.leS,
        i32.shl,
        i32.shrU,
      ]) {
        fn.drop(op(a, a));
      }
      fn.drop(i32.load(a));
      fn.drop(i32.load16u(a));
      for (const load of [
        v128.load,
        v128.load32Splat,
        v128.load16Splat,
        v128.load32Zero,
        v128.load64Zero,
        v128.load16x4u,
      ])
        fn.drop(load(a, 4));
      fn.drop(v128.load32Lane(a, x, 3));
      fn.drop(v128.load16Lane(a, x, 7));
      fn.drop(atomic.load(i32.const(0)));
      fn.return(i32x4.extract(i32x4.replace(i32x4.splat(a), 2, i32.const(5)), 2));
      fn.unreachable();
      module.export('f', module.add(fn));
    });
    expect(f(0)).toBe(5);
  });

  test('imports after functions and undefined functions are mistakes', () => {
    const module = new ModuleBuilder();
    module.declare({ parameters: [], results: [] });
    expect(() => module.importFunction('a', 'b', { parameters: [], results: [] })).toThrow(
      'imports come before functions',
    );
    expect(() => module.finish()).toThrow('never defined');
  });
});

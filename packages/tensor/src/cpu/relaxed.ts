import { FunctionBuilder } from './wasm/function';
import { ModuleBuilder } from './wasm/module';
import { f32x4 } from './wasm/operators';

/** Does this engine accept relaxed SIMD? Asked with a module of one multiply-add. */
export function hasRelaxedSimd(): boolean {
  const module = new ModuleBuilder();
  const fn = new FunctionBuilder([]);
  fn.drop(f32x4.relaxedMadd(fn.float(1), fn.float(1), fn.float(1)));
  module.add(fn);
  return WebAssembly.validate(module.finish());
}

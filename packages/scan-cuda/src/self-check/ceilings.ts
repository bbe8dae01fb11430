// What the card can do, measured in the run that is compared with it: bytes copied and exponentials taken per millisecond.
import { type CudaContext, type CudaStream, KernelArguments } from '../driver/index';
import { time } from './timing';

export interface Ceilings {
  /** Bytes read plus bytes written by a copy within device memory. */
  readonly bytesPerMs: number;
  readonly exponentialsPerMs: number;
}

/** Eight independent chains of ex2 a thread, 64 rounds of each. */
const exp2Kernel = `
.version 7.0
.target sm_80
.address_size 64
.visible .entry exp2_rate(.param .u64 out)
{
  .reg .pred p; .reg .b32 i; .reg .f32 x<8>; .reg .b64 to;
  ld.param.u64 to, [out];
  mov.u32 i, %tid.x; cvt.rn.f32.u32 x0, i;
  ${Array.from({ length: 7 }, (_, j) => `add.f32 x${j + 1}, x${j}, 0f3F800000;`).join(' ')}
  mov.u32 i, 64;
again:
  ${Array.from({ length: 8 }, (_, j) => `ex2.approx.ftz.f32 x${j}, x${j};`).join(' ')}
  sub.u32 i, i, 1; setp.ne.u32 p, i, 0; @p bra again;
  ${Array.from({ length: 7 }, (_, j) => `add.f32 x0, x0, x${j + 1};`).join(' ')}
  setp.eq.f32 p, x0, 0f00000000; @p st.global.f32 [to], x0;
  ret;
}
`;

export function measureCeilings(context: CudaContext, stream: CudaStream): Ceilings {
  const bytes = 2 ** 30;
  const [from, to] = [context.allocate(bytes), context.allocate(bytes)];
  const copy = time(context, stream, () => stream.copy(to, from, bytes)).median;
  const module = context.loadModule(new TextEncoder().encode(exp2Kernel));
  const args = new KernelArguments(context.driver, 8, [0]);
  new BigUint64Array(args.bytes)[0] = to;
  const blocks = context.multiprocessors * 64;
  const kernel = module.function('exp2_rate');
  const exponentials = time(context, stream, () => kernel.launch(stream, [blocks], [256], 0, args)).median;
  module.unload();
  context.free(from);
  context.free(to);
  return { bytesPerMs: (2 * bytes) / copy, exponentialsPerMs: (blocks * 256 * 8 * 64) / exponentials };
}

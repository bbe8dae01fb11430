// s_b = exp(-i pi v(b)), where v(b) mirrors the bits of b behind the point: v(1) = 1/2, v(2) = 1/4, v(3) = 3/4, ... The
// first entries are the same for every transform size. See fft.ts for what they do.
import { sliceBegin, ceilDiv, useful } from '../slicing';

/** exp(-i pi / 2^(bit + 1)): what bit `bit` of b multiplies into s_b. */
const ROOTS: usize = memory.data<f64>([
  0, -1,
  0.7071067811865476, -0.7071067811865475,
  0.9238795325112867, -0.3826834323650898,
  0.9807852804032304, -0.19509032201612825,
  0.9951847266721969, -0.0980171403295606,
  0.9987954562051724, -0.049067674327418015,
  0.9996988186962042, -0.024541228522912288,
  0.9999247018391445, -0.012271538285719925,
  0.9999811752826011, -0.006135884649154475,
  0.9999952938095762, -0.003067956762965976,
  0.9999988234517019, -0.0015339801862847655,
  0.9999997058628822, -0.0007669903187427045,
  0.9999999264657179, -0.00038349518757139556,
  0.9999999816164293, -0.0001917475973107033,
  0.9999999954041073, -0.00009587379909597734,
  0.9999999988510269, -0.00004793689960306688,
  0.9999999997127567, -0.00002396844980841822,
  0.9999999999281892, -0.000011984224905069705,
  0.9999999999820472, -0.0000059921124526424275,
  0.9999999999955118, -0.000002996056226334661,
  0.999999999998878, -0.0000014980281131690111,
  0.9999999999997194, -7.490140565847157e-7,
  0.9999999999999298, -3.7450702829238413e-7,
  0.9999999999999825, -1.8725351414619535e-7,
], 16);
/** s_0 ... s_7. */
const FIRST: usize = memory.data<f64>([
  1, 0,
  0, -1,
  0.7071067811865476, -0.7071067811865475,
  -0.7071067811865475, -0.7071067811865476,
  0.9238795325112867, -0.3826834323650898,
  -0.3826834323650897, -0.9238795325112867,
  0.38268343236508984, -0.9238795325112867,
  -0.9238795325112867, -0.3826834323650899,
], 16);

/** Writes s_b for b in [0, count), rounded once from float64, as pairs of float32; threads share the work. */
export function fillTwiddles(table: usize, count: i32, tid: i32, threads: i32): void {
  const groups = ceilDiv(count, 8);
  threads = useful(threads, groups, 64);
  if (tid >= threads) return;
  const end = sliceBegin(groups, tid + 1, threads);
  for (let group = sliceBegin(groups, tid, threads); group < end; group++) {
    let re: f64 = 1, im: f64 = 0;
    let root = ROOTS + 3 * 16;
    for (let bits = group; bits != 0; bits >>= 1) {
      if ((bits & 1) != 0) {
        const c = load<f64>(root), s = load<f64>(root, 8);
        const product = re * c - im * s;
        im = re * s + im * c;
        re = product;
      }
      root += 16;
    }
    const last = min(count - group * 8, 8);
    for (let b = 0; b < last; b++) {
      const c = load<f64>(FIRST + (<usize>b << 4)), s = load<f64>(FIRST + (<usize>b << 4), 8);
      const at = table + (<usize>(group * 8 + b) << 3);
      store<f32>(at, <f32>(re * c - im * s));
      store<f32>(at, <f32>(re * s + im * c), 4);
    }
  }
}

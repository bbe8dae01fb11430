// Products of the spectra of real signals. A signal x of 2n steps is transformed as the n complex numbers x_{2t} + i
// x_{2t+1}. With E and O the spectra of the even and the odd steps, element p holds Z_p = E_p + i O_p; the element p'
// of the opposite frequency holds conj(E_p) + i conj(O_p). So E_p = (Z_p + conj Z_p') / 2 and O_p = (Z_p - conj Z_p') /
// 2i. In mirrored order p' lies in the same range [2^j, 2^(j+1)) as p, counted from its other end; elements 0 and 1
// (frequencies 0 and n/2) are their own opposites. T = W^k delays by one.
//
//   convolution                              E = E1 E2 + T O1 O2,            O = E1 O2 + O1 E2
//   correlation r_j = sum_t x1_{t+j} x2_t    E = E1 conj(E2) + O1 conj(O2),  O = O1 conj(E2) + conj(T) E1 conj(O2)
import { madd, nmadd } from '../vector';

/** T at an even element p of the upper part; odd elements have its negative. */
@inline function delay(twiddles: usize, p: i32): usize { return twiddles + (<usize>(p >> 1) << 3); }

/**
 * Turns the transform of a kernel into E (at p) and O (at p'), scaled so that `multiply` and an unscaled inverse give
 * the convolution.
 */
export function separate(data: usize, n: i32): void {
  const scale = f32x4.splat(1 / (<f32>n * 4));
  // Elements 0 and 1 hold two real numbers; `multiply` takes them unhalved.
  const whole = f32x4.splat(1 / <f32>n);
  for (let at = data; at != data + 64; at += 16) v128.store(at, f32x4.mul(v128.load(at), whole));
  for (let size = 2; size < n; size <<= 1) {
    let low = data + (<usize>size << 5), high = data + (<usize>(2 * size - 1) << 5);
    for (; low < high; low += 32, high -= 32) {
      const zx = f32x4.mul(v128.load(low), scale), zy = f32x4.mul(v128.load(low, 16), scale);
      const cx = f32x4.mul(v128.load(high), scale), cy = f32x4.mul(v128.load(high, 16), scale);
      v128.store(low, f32x4.add(zx, cx));
      v128.store(low, f32x4.sub(zy, cy), 16);
      v128.store(high, f32x4.add(zy, cy));
      v128.store(high, f32x4.sub(cx, zx), 16);
    }
  }
}

/** data = data convolved with the separated kernel. */
export function multiply(data: usize, kernel: usize, n: i32, twiddles: usize): void {
  let x = v128.load(data), y = v128.load(data, 16), e = v128.load(kernel), o = v128.load(kernel, 16);
  v128.store(data, madd(x, e, f32x4.mul(y, o)));
  v128.store(data, madd(x, o, f32x4.mul(y, e)), 16);
  x = v128.load(data, 32); y = v128.load(data, 48); e = v128.load(kernel, 32); o = v128.load(kernel, 48);
  v128.store(data, nmadd(y, o, f32x4.mul(x, e)), 32);
  v128.store(data, madd(x, o, f32x4.mul(y, e)), 48);
  for (let size = 2; size < n; size <<= 1) {
    let low = data + (<usize>size << 5), high = data + (<usize>(2 * size - 1) << 5);
    let kernelLow = kernel + (<usize>size << 5), kernelHigh = kernel + (<usize>(2 * size - 1) << 5);
    let t = delay(twiddles, size);
    let negative = false;
    while (low < high) {
      const zx = v128.load(low), zy = v128.load(low, 16), cx = v128.load(high), cy = v128.load(high, 16);
      const ex = f32x4.add(zx, cx), ey = f32x4.sub(zy, cy), ox = f32x4.add(zy, cy), oy = f32x4.sub(cx, zx);
      const kex = v128.load(kernelLow), key = v128.load(kernelLow, 16);
      const kox = v128.load(kernelHigh), koy = v128.load(kernelHigh, 16);
      // O1 O2, delayed; the sign of T alternates.
      const px = nmadd(oy, koy, f32x4.mul(ox, kox)), py = madd(oy, kox, f32x4.mul(ox, koy));
      let tx = v128.load32_splat(t), ty = v128.load32_splat(t, 4);
      if (negative) { tx = f32x4.neg(tx); ty = f32x4.neg(ty); t += 8; }
      negative = !negative;
      const evenX = nmadd(ey, key, madd(ex, kex, nmadd(py, ty, f32x4.mul(px, tx))));
      const evenY = madd(ey, kex, madd(ex, key, madd(py, tx, f32x4.mul(px, ty))));
      const oddX = nmadd(oy, key, madd(ox, kex, nmadd(ey, koy, f32x4.mul(ex, kox))));
      const oddY = madd(oy, kex, madd(ox, key, madd(ey, kox, f32x4.mul(ex, koy))));
      v128.store(low, f32x4.sub(evenX, oddY));
      v128.store(low, f32x4.add(evenY, oddX), 16);
      v128.store(high, f32x4.add(evenX, oddY));
      v128.store(high, f32x4.sub(oddX, evenY), 16);
      low += 32;
      high -= 32;
      kernelLow += 32;
      kernelHigh -= 32;
    }
  }
}

/**
 * Adds the spectrum of the correlation of `first` and `second` to `sums`, E at p and O at p' (four times their values).
 */
export function correlate(first: usize, second: usize, sums: usize, n: i32, twiddles: usize): void {
  const four = f32x4.splat(4);
  for (let at: usize = 0; at < 64; at += 32) {
    const ge = f32x4.mul(v128.load(first + at), four), go = f32x4.mul(v128.load(first + at, 16), four);
    const ue = v128.load(second + at), uo = v128.load(second + at, 16);
    const even = madd(ge, ue, f32x4.mul(go, uo));
    const odd = at == 0 ? madd(go, ue, f32x4.mul(ge, uo)) : nmadd(ge, uo, f32x4.mul(go, ue));
    v128.store(sums + at, f32x4.add(v128.load(sums + at), even));
    v128.store(sums + at, f32x4.add(v128.load(sums + at, 16), odd), 16);
  }
  for (let size = 2; size < n; size <<= 1) {
    let low = <usize>size << 5, high = <usize>(2 * size - 1) << 5;
    let t = delay(twiddles, size);
    let negative = false;
    while (low < high) {
      let zx = v128.load(first + low), zy = v128.load(first + low, 16);
      let cx = v128.load(first + high), cy = v128.load(first + high, 16);
      const gex = f32x4.add(zx, cx), gey = f32x4.sub(zy, cy), gox = f32x4.add(zy, cy), goy = f32x4.sub(cx, zx);
      zx = v128.load(second + low); zy = v128.load(second + low, 16);
      cx = v128.load(second + high); cy = v128.load(second + high, 16);
      const uex = f32x4.add(zx, cx), uey = f32x4.sub(zy, cy), uox = f32x4.add(zy, cy), uoy = f32x4.sub(cx, zx);
      let x = madd(gey, uey, f32x4.mul(gex, uex)), y = nmadd(gex, uey, f32x4.mul(gey, uex));
      x = madd(goy, uoy, madd(gox, uox, x));
      y = nmadd(gox, uoy, madd(goy, uox, y));
      v128.store(sums + low, f32x4.add(v128.load(sums + low), x));
      v128.store(sums + low, f32x4.add(v128.load(sums + low, 16), y), 16);
      let tx = v128.load32_splat(t), ty = v128.load32_splat(t, 4);
      if (negative) { tx = f32x4.neg(tx); ty = f32x4.neg(ty); t += 8; }
      negative = !negative;
      // E1 conj(O2), advanced.
      const px = madd(gey, uoy, f32x4.mul(gex, uox)), py = nmadd(gex, uoy, f32x4.mul(gey, uox));
      x = madd(goy, uey, madd(gox, uex, madd(py, ty, f32x4.mul(px, tx))));
      y = nmadd(gox, uey, madd(goy, uex, nmadd(px, ty, f32x4.mul(py, tx))));
      v128.store(sums + high, f32x4.add(v128.load(sums + high), x));
      v128.store(sums + high, f32x4.add(v128.load(sums + high, 16), y), 16);
      low += 32;
      high -= 32;
    }
  }
}

/** Puts E and O together again and scales for an unscaled inverse; undoes the factor of `correlate`. */
export function join(data: usize, n: i32): void {
  const scale = f32x4.splat(1 / (<f32>n * 4));
  for (let at = data; at != data + 64; at += 16) v128.store(at, f32x4.mul(v128.load(at), scale));
  for (let size = 2; size < n; size <<= 1) {
    let low = data + (<usize>size << 5), high = data + (<usize>(2 * size - 1) << 5);
    for (; low < high; low += 32, high -= 32) {
      const ex = f32x4.mul(v128.load(low), scale), ey = f32x4.mul(v128.load(low, 16), scale);
      const ox = f32x4.mul(v128.load(high), scale), oy = f32x4.mul(v128.load(high, 16), scale);
      v128.store(low, f32x4.sub(ex, oy));
      v128.store(low, f32x4.add(ey, ox), 16);
      v128.store(high, f32x4.add(ex, oy));
      v128.store(high, f32x4.sub(ox, ey), 16);
    }
  }
}

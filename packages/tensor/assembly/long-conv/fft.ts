// Complex transforms of four signals at once: one channel per lane, an element is (4 real parts, 4 imaginary parts), 32
// bytes.
//
// A block b of n elements holds a polynomial modulo x^n - r. It is split into the ones modulo x^(n/2) - s and x^(n/2) +
// s with s = sqrt(r) = s_b of the twiddle table: (u, v) becomes (u + s v, u - s v) and the parts are blocks 2b and 2b +
// 1, because s_{2b} = sqrt(s_b), s_{2b+1} = -i s_{2b}. In the end element p is the value at x = exp(-2 pi i v(p)) =
// W^k, k being p with its bits mirrored. So the spectrum comes in mirrored order, no permutation is needed, and one
// twiddle serves a whole block. Two splits are done per pass (radix 4).
import { madd, nmadd } from '../vector';

/**
 * Blocks of up to this many elements (64 KiB) are transformed pass by pass; larger ones part by part, so that parts
 * stay in the cache.
 */
@inline const NEAR: i32 = 2048;

/** n is a power of two, at least 4. */
export function forward(data: usize, n: i32, twiddles: usize): void {
  if ((ctz(n) & 1) == 0) {
    forwardBlock(data, n, 0, twiddles);
    return;
  }
  const half = <usize>n << 4;
  const end = data + half;
  for (let at = data; at != end; at += 32) {
    const u0 = v128.load(at), u1 = v128.load(at, 16), v0 = v128.load(at + half), v1 = v128.load(at + half, 16);
    v128.store(at, f32x4.add(u0, v0));
    v128.store(at, f32x4.add(u1, v1), 16);
    v128.store(at + half, f32x4.sub(u0, v0));
    v128.store(at + half, f32x4.sub(u1, v1), 16);
  }
  forwardBlock(data, n >> 1, 0, twiddles);
  forwardBlock(data + half, n >> 1, 1, twiddles);
}

/** Inverse of `forward`, times n. */
export function inverse(data: usize, n: i32, twiddles: usize): void {
  if ((ctz(n) & 1) == 0) {
    inverseBlock(data, n, 0, twiddles);
    return;
  }
  const half = <usize>n << 4;
  inverseBlock(data, n >> 1, 0, twiddles);
  inverseBlock(data + half, n >> 1, 1, twiddles);
  const end = data + half;
  for (let at = data; at != end; at += 32) {
    const u0 = v128.load(at), u1 = v128.load(at, 16), v0 = v128.load(at + half), v1 = v128.load(at + half, 16);
    v128.store(at, f32x4.add(u0, v0));
    v128.store(at, f32x4.add(u1, v1), 16);
    v128.store(at + half, f32x4.sub(u0, v0));
    v128.store(at + half, f32x4.sub(u1, v1), 16);
  }
}

function forwardBlock(data: usize, n: i32, block: i32, twiddles: usize): void {
  if (n > NEAR) {
    forwardPass(data, n, block, twiddles);
    const part = <usize>n << 3;
    for (let i = 0; i < 4; i++) forwardBlock(data + <usize>i * part, n >> 2, (block << 2) + i, twiddles);
    return;
  }
  let blocks = 1;
  for (; n > 4; n >>= 2) {
    let at = data;
    for (let i = 0; i < blocks; i++) {
      forwardPass(at, n, block + i, twiddles);
      at += <usize>n << 5;
    }
    block <<= 2;
    blocks <<= 2;
  }
  forwardLast(data, blocks, block, twiddles);
}

function inverseBlock(data: usize, n: i32, block: i32, twiddles: usize): void {
  if (n > NEAR) {
    const part = <usize>n << 3;
    for (let i = 0; i < 4; i++) inverseBlock(data + <usize>i * part, n >> 2, (block << 2) + i, twiddles);
    inversePass(data, n, block, twiddles);
    return;
  }
  let blocks = n >> 2;
  let inner = block * blocks;
  inverseFirst(data, blocks, inner, twiddles);
  for (let size = 16; size <= n; size <<= 2) {
    blocks >>= 2;
    inner >>= 2;
    let at = data;
    for (let i = 0; i < blocks; i++) {
      inversePass(at, size, inner + i, twiddles);
      at += <usize>size << 5;
    }
  }
}

/** Two splits of one block, the twiddles being the same for all of it. */
function forwardPass(data: usize, n: i32, block: i32, twiddles: usize): void {
  const q = <usize>n << 3, q2 = q * 2, q3 = q * 3;
  const end = data + q;
  if (block == 0) {
    for (; data != end; data += 32) {
      const x0 = v128.load(data), x1 = v128.load(data + q), x2 = v128.load(data + q2), x3 = v128.load(data + q3);
      const y0 = v128.load(data, 16), y1 = v128.load(data + q, 16);
      const y2 = v128.load(data + q2, 16), y3 = v128.load(data + q3, 16);
      const ux = f32x4.add(x0, x2), wx = f32x4.sub(x0, x2), vx = f32x4.add(x1, x3), zx = f32x4.sub(x1, x3);
      const uy = f32x4.add(y0, y2), wy = f32x4.sub(y0, y2), vy = f32x4.add(y1, y3), zy = f32x4.sub(y1, y3);
      v128.store(data, f32x4.add(ux, vx));
      v128.store(data, f32x4.add(uy, vy), 16);
      v128.store(data + q, f32x4.sub(ux, vx));
      v128.store(data + q, f32x4.sub(uy, vy), 16);
      v128.store(data + q2, f32x4.add(wx, zy));
      v128.store(data + q2, f32x4.sub(wy, zx), 16);
      v128.store(data + q3, f32x4.sub(wx, zy));
      v128.store(data + q3, f32x4.add(wy, zx), 16);
    }
    return;
  }
  const a = twiddles + (<usize>block << 4), s = twiddles + (<usize>block << 3);
  const ar = load<f32>(a), ai = load<f32>(a, 4), sr = load<f32>(s), si = load<f32>(s, 4);
  const a1r = f32x4.splat(ar), a1i = f32x4.splat(ai), a2r = f32x4.splat(sr), a2i = f32x4.splat(si);
  const a3r = f32x4.splat(<f32>(<f64>ar * sr - <f64>ai * si)), a3i = f32x4.splat(<f32>(<f64>ar * si + <f64>ai * sr));
  for (; data != end; data += 32) {
    let x = v128.load(data + q), y = v128.load(data + q, 16);
    const t1x = nmadd(y, a1i, f32x4.mul(x, a1r)), t1y = madd(y, a1r, f32x4.mul(x, a1i));
    x = v128.load(data + q3); y = v128.load(data + q3, 16);
    const t3x = nmadd(y, a3i, f32x4.mul(x, a3r)), t3y = madd(y, a3r, f32x4.mul(x, a3i));
    const vx = f32x4.add(t1x, t3x), vy = f32x4.add(t1y, t3y), zx = f32x4.sub(t1x, t3x), zy = f32x4.sub(t1y, t3y);
    x = v128.load(data + q2); y = v128.load(data + q2, 16);
    const t2x = nmadd(y, a2i, f32x4.mul(x, a2r)), t2y = madd(y, a2r, f32x4.mul(x, a2i));
    x = v128.load(data); y = v128.load(data, 16);
    const ux = f32x4.add(x, t2x), uy = f32x4.add(y, t2y), wx = f32x4.sub(x, t2x), wy = f32x4.sub(y, t2y);
    v128.store(data, f32x4.add(ux, vx));
    v128.store(data, f32x4.add(uy, vy), 16);
    v128.store(data + q, f32x4.sub(ux, vx));
    v128.store(data + q, f32x4.sub(uy, vy), 16);
    v128.store(data + q2, f32x4.add(wx, zy));
    v128.store(data + q2, f32x4.sub(wy, zx), 16);
    v128.store(data + q3, f32x4.sub(wx, zy));
    v128.store(data + q3, f32x4.add(wy, zx), 16);
  }
}

/** The last two splits: `blocks` blocks of 4 elements, each with twiddles of its own. */
function forwardLast(data: usize, blocks: i32, block: i32, twiddles: usize): void {
  let a = twiddles + (<usize>block << 4), s = twiddles + (<usize>block << 3);
  const end = data + (<usize>blocks << 7);
  for (; data != end; data += 128) {
    const a1r = v128.load32_splat(a), a1i = v128.load32_splat(a, 4);
    const a2r = v128.load32_splat(s), a2i = v128.load32_splat(s, 4);
    let x = v128.load(data, 96), y = v128.load(data, 112);
    // x3 is multiplied by both.
    const px = nmadd(y, a2i, f32x4.mul(x, a2r)), py = madd(y, a2r, f32x4.mul(x, a2i));
    x = v128.load(data, 32); y = v128.load(data, 48);
    const sumX = f32x4.add(x, px), sumY = f32x4.add(y, py), difX = f32x4.sub(x, px), difY = f32x4.sub(y, py);
    const vx = nmadd(sumY, a1i, f32x4.mul(sumX, a1r)), vy = madd(sumY, a1r, f32x4.mul(sumX, a1i));
    const zx = nmadd(difY, a1i, f32x4.mul(difX, a1r)), zy = madd(difY, a1r, f32x4.mul(difX, a1i));
    x = v128.load(data, 64); y = v128.load(data, 80);
    const t2x = nmadd(y, a2i, f32x4.mul(x, a2r)), t2y = madd(y, a2r, f32x4.mul(x, a2i));
    x = v128.load(data); y = v128.load(data, 16);
    const ux = f32x4.add(x, t2x), uy = f32x4.add(y, t2y), wx = f32x4.sub(x, t2x), wy = f32x4.sub(y, t2y);
    v128.store(data, f32x4.add(ux, vx));
    v128.store(data, f32x4.add(uy, vy), 16);
    v128.store(data, f32x4.sub(ux, vx), 32);
    v128.store(data, f32x4.sub(uy, vy), 48);
    v128.store(data, f32x4.add(wx, zy), 64);
    v128.store(data, f32x4.sub(wy, zx), 80);
    v128.store(data, f32x4.sub(wx, zy), 96);
    v128.store(data, f32x4.add(wy, zx), 112);
    a += 16;
    s += 8;
  }
}

/** Undoes forwardLast, times 4. */
function inverseFirst(data: usize, blocks: i32, block: i32, twiddles: usize): void {
  let a = twiddles + (<usize>block << 4), s = twiddles + (<usize>block << 3);
  const end = data + (<usize>blocks << 7);
  for (; data != end; data += 128) {
    const a1r = v128.load32_splat(a), a1i = v128.load32_splat(a, 4);
    const a2r = v128.load32_splat(s), a2i = v128.load32_splat(s, 4);
    const z0x = v128.load(data), z0y = v128.load(data, 16), z1x = v128.load(data, 32), z1y = v128.load(data, 48);
    const ux = f32x4.add(z0x, z1x), uy = f32x4.add(z0y, z1y), vx = f32x4.sub(z0x, z1x), vy = f32x4.sub(z0y, z1y);
    const z2x = v128.load(data, 64), z2y = v128.load(data, 80), z3x = v128.load(data, 96), z3y = v128.load(data, 112);
    // i (z2 - z3) in (zx, zy).
    const wx = f32x4.add(z2x, z3x), wy = f32x4.add(z2y, z3y), zx = f32x4.sub(z3y, z2y), zy = f32x4.sub(z2x, z3x);
    v128.store(data, f32x4.add(ux, wx));
    v128.store(data, f32x4.add(uy, wy), 16);
    let x = f32x4.sub(ux, wx), y = f32x4.sub(uy, wy);
    v128.store(data, madd(y, a2i, f32x4.mul(x, a2r)), 64);
    v128.store(data, nmadd(x, a2i, f32x4.mul(y, a2r)), 80);
    const px = madd(vy, a1i, f32x4.mul(vx, a1r)), py = nmadd(vx, a1i, f32x4.mul(vy, a1r));
    const rx = madd(zy, a1i, f32x4.mul(zx, a1r)), ry = nmadd(zx, a1i, f32x4.mul(zy, a1r));
    v128.store(data, f32x4.add(px, rx), 32);
    v128.store(data, f32x4.add(py, ry), 48);
    x = f32x4.sub(px, rx); y = f32x4.sub(py, ry);
    v128.store(data, madd(y, a2i, f32x4.mul(x, a2r)), 96);
    v128.store(data, nmadd(x, a2i, f32x4.mul(y, a2r)), 112);
    a += 16;
    s += 8;
  }
}

/** Undoes forwardPass, times 4. */
function inversePass(data: usize, n: i32, block: i32, twiddles: usize): void {
  const q = <usize>n << 3, q2 = q * 2, q3 = q * 3;
  const end = data + q;
  if (block == 0) {
    for (; data != end; data += 32) {
      const x0 = v128.load(data), x1 = v128.load(data + q), x2 = v128.load(data + q2), x3 = v128.load(data + q3);
      const y0 = v128.load(data, 16), y1 = v128.load(data + q, 16);
      const y2 = v128.load(data + q2, 16), y3 = v128.load(data + q3, 16);
      const ux = f32x4.add(x0, x1), vx = f32x4.sub(x0, x1), wx = f32x4.add(x2, x3), zy = f32x4.sub(x2, x3);
      const uy = f32x4.add(y0, y1), vy = f32x4.sub(y0, y1), wy = f32x4.add(y2, y3), zx = f32x4.sub(y3, y2);
      v128.store(data, f32x4.add(ux, wx));
      v128.store(data, f32x4.add(uy, wy), 16);
      v128.store(data + q, f32x4.add(vx, zx));
      v128.store(data + q, f32x4.add(vy, zy), 16);
      v128.store(data + q2, f32x4.sub(ux, wx));
      v128.store(data + q2, f32x4.sub(uy, wy), 16);
      v128.store(data + q3, f32x4.sub(vx, zx));
      v128.store(data + q3, f32x4.sub(vy, zy), 16);
    }
    return;
  }
  const a = twiddles + (<usize>block << 4), s = twiddles + (<usize>block << 3);
  const ar = load<f32>(a), ai = load<f32>(a, 4), sr = load<f32>(s), si = load<f32>(s, 4);
  const a1r = f32x4.splat(ar), a1i = f32x4.splat(ai), a2r = f32x4.splat(sr), a2i = f32x4.splat(si);
  const a3r = f32x4.splat(<f32>(<f64>ar * sr - <f64>ai * si)), a3i = f32x4.splat(<f32>(<f64>ar * si + <f64>ai * sr));
  for (; data != end; data += 32) {
    const z0x = v128.load(data), z0y = v128.load(data, 16), z1x = v128.load(data + q), z1y = v128.load(data + q, 16);
    const ux = f32x4.add(z0x, z1x), uy = f32x4.add(z0y, z1y), vx = f32x4.sub(z0x, z1x), vy = f32x4.sub(z0y, z1y);
    const z2x = v128.load(data + q2), z2y = v128.load(data + q2, 16);
    const z3x = v128.load(data + q3), z3y = v128.load(data + q3, 16);
    const wx = f32x4.add(z2x, z3x), wy = f32x4.add(z2y, z3y), zx = f32x4.sub(z3y, z2y), zy = f32x4.sub(z2x, z3x);
    v128.store(data, f32x4.add(ux, wx));
    v128.store(data, f32x4.add(uy, wy), 16);
    let x = f32x4.sub(ux, wx), y = f32x4.sub(uy, wy);
    v128.store(data + q2, madd(y, a2i, f32x4.mul(x, a2r)));
    v128.store(data + q2, nmadd(x, a2i, f32x4.mul(y, a2r)), 16);
    x = f32x4.add(vx, zx); y = f32x4.add(vy, zy);
    v128.store(data + q, madd(y, a1i, f32x4.mul(x, a1r)));
    v128.store(data + q, nmadd(x, a1i, f32x4.mul(y, a1r)), 16);
    x = f32x4.sub(vx, zx); y = f32x4.sub(vy, zy);
    v128.store(data + q3, madd(y, a3i, f32x4.mul(x, a3r)));
    v128.store(data + q3, nmadd(x, a3i, f32x4.mul(y, a3r)), 16);
  }
}

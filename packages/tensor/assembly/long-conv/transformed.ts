// The long convolution through transforms, four channels at a time.
import { address, field, sliceBegin, ceilDiv } from '../slicing';
import { forward, inverse } from './fft';
import { correlate, join, multiply, separate } from './spectra';
import { clearSteps, gatherSteps, scatterSteps } from './signal';
import { fillTwiddles } from './twiddles';

/*
 * Parameters: 0 u, 1 kernel, 2 y, 3 batch, 4 length, 5 channels, 6 taps (at most length), 7 flags (1: backwards in
 * time), 8 workspaces, 9 bytes of one, 10 their number, 11 n (complex elements of a transform: a power of two, at least
 * 4, 2n >= length + taps - 1), 12 twiddles (n / 2). A workspace holds two transforms, or three for the gradient of the
 * kernel.
 */

export function longConvTwiddles(params: usize, tid: i32, threads: i32): void {
  fillTwiddles(address(params, 12), field(params, 11) >> 1, tid, threads);
}

/** y_t = sum_j kernel_j u_{t-j}; backwards in time where flag 1 is set (the gradient of u). */
export function longConvTransformed(params: usize, tid: i32, threads: i32): void {
  const batch = field(params, 3), length = field(params, 4), channels = field(params, 5), taps = field(params, 6);
  const n = field(params, 11);
  const twiddles = address(params, 12);
  const units = ceilDiv(channels, 4) * batch;
  threads = min(threads, field(params, 10));
  if (tid >= threads) return;
  const line = <usize>channels << 2;
  const kernel = address(params, 8) + <usize>tid * address(params, 9);
  const data = kernel + (<usize>n << 5);
  const backwards = field(params, 7) != 0;
  const start: usize = backwards ? <usize>(length - 1) * line : 0;
  const step: usize = backwards ? 0 - line : line;
  let kernelOf = -1;
  const end = sliceBegin(units, tid + 1, threads);
  for (let unit = sliceBegin(units, tid, threads); unit < end; unit++) {
    const quad = unit / batch, b = unit - quad * batch;
    const lanes = min(channels - quad * 4, 4);
    if (kernelOf != quad) {
      // An even and an odd step are the real and the imaginary part of an element: the layout is that of the steps
      // themselves.
      gatherSteps(address(params, 1) + (<usize>quad << 4), line, taps, lanes, kernel, 2 * n);
      forward(kernel, n, twiddles);
      separate(kernel, n);
      kernelOf = quad;
    }
    const offset = <usize>(b * length) * line + (<usize>quad << 4) + start;
    gatherSteps(address(params, 0) + offset, step, length, lanes, data, 2 * n);
    forward(data, n, twiddles);
    multiply(data, kernel, n, twiddles);
    inverse(data, n, twiddles);
    scatterSteps(data, address(params, 2) + offset, step, length, lanes);
  }
}

/**
 * gradKernel_j = sum over b and t of gradY_t u_{t-j}; 0 gradY, 1 u, 2 gradKernel, 13 all taps: those from the length on
 * get 0.
 */
export function longConvTransformedKernel(params: usize, tid: i32, threads: i32): void {
  const batch = field(params, 3), length = field(params, 4), channels = field(params, 5), taps = field(params, 6);
  const n = field(params, 11);
  const twiddles = address(params, 12);
  const quads = ceilDiv(channels, 4);
  threads = min(threads, field(params, 10));
  if (tid >= threads) return;
  const line = <usize>channels << 2;
  if (tid == 0) memory.fill(address(params, 2) + <usize>taps * line, 0, <usize>(field(params, 13) - taps) * line);
  const sums = address(params, 8) + <usize>tid * address(params, 9);
  const first = sums + (<usize>n << 5), second = first + (<usize>n << 5);
  const end = sliceBegin(quads, tid + 1, threads);
  for (let quad = sliceBegin(quads, tid, threads); quad < end; quad++) {
    const lanes = min(channels - quad * 4, 4);
    clearSteps(sums, 2 * n);
    for (let b = 0; b < batch; b++) {
      const offset = <usize>(b * length) * line + (<usize>quad << 4);
      gatherSteps(address(params, 0) + offset, line, length, lanes, first, 2 * n);
      gatherSteps(address(params, 1) + offset, line, length, lanes, second, 2 * n);
      forward(first, n, twiddles);
      forward(second, n, twiddles);
      correlate(first, second, sums, n, twiddles);
    }
    join(sums, n);
    inverse(sums, n, twiddles);
    scatterSteps(sums, address(params, 2) + (<usize>quad << 4), line, taps, lanes);
  }
}

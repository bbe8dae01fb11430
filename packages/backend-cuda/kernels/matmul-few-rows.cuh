// Products with few rows of a (decoding) against the rows of a transposed b: bound by reading b once.
// `lanes` lanes of a warp share R neighbouring outputs of each of M rows, with the next U chunks of each row of b on their way while those before
// are multiplied. b streams past the cache; a lies in shared memory, in float32.
#pragma once
#include "matmul-arguments.cuh"
#include "overlap.cuh"

namespace {

constexpr int threads = 128;

template <typename A, typename B, int M, int R, int U> __device__ __forceinline__ void fewRows(const MatmulArguments &p) {
  constexpr int V = Chunk<B>::size, parts = V / 4;
  extern __shared__ float4 shared[];  // [row of a][part of a chunk][chunk]
  const int lanes = static_cast<int>(p.lanes), lane = threadIdx.x % lanes;
  const long long first = (static_cast<long long>(blockIdx.x) * threads + threadIdx.x) / lanes * R;
  const int m = static_cast<int>(p.m), k = static_cast<int>(p.k), chunks = (k + V - 1) / V;
  const int row0 = blockIdx.y * M;
  const A *a = static_cast<const A *>(p.a) + blockIdx.z * p.strideA + row0 * p.rowA;
  const B *b = static_cast<const B *>(p.b) + blockIdx.z * p.strideB;
  const B *rows[R];
#pragma unroll
  for (int r = 0; r < R; r++) rows[r] = b + (first + r < p.n ? first + r : p.n - 1) * k;
  // What is read of b, ahead of time: where that is little, it comes while the kernel before still runs.
  if (p.prefetch != 0) {
    const int rowBytes = k * static_cast<int>(sizeof(B));
#pragma unroll
    for (int r = 0; r < R; r++)
      for (int at = lane * 128; at < rowBytes; at += lanes * 128) prefetch(reinterpret_cast<const char *>(rows[r]) + at);
  }
  awaitEarlier();

  const bool whole = k % V == 0;
  const auto load = [&](uint4 (&to)[U][R], int chunk) {
#pragma unroll
    for (int c = 0; c < U; c++)
#pragma unroll
      for (int r = 0; r < R; r++) to[c][r] = loadStreamIf(whole && chunk + c * lanes < chunks, rows[r] + (chunk + c * lanes) * V);
  };
  uint4 even[U][R], odd[U][R];
  load(even, lane);
  // Elements of a past its end are zeros; so are rows past the last.
  float *const flat = reinterpret_cast<float *>(shared);
  constexpr int S = Chunk<A>::size;
  const bool aligned = whole && p.rowA % S == 0 && k % S == 0;
#pragma unroll
  for (int i = 0; i < M; i++) {
    const bool present = row0 + i < m;
    if (aligned && present) {
#pragma unroll 8
      for (int at = threadIdx.x; at < k / S; at += threads) {
        float x[S];
        Chunk<A>::unpack(__ldg(reinterpret_cast<const uint4 *>(a + i * p.rowA) + at), x);
#pragma unroll
        for (int q = 0; q < S / 4; q++) {
          const int quad = at * (S / 4) + q;
          shared[(i * parts + quad % parts) * chunks + quad / parts] = make_float4(x[4 * q], x[4 * q + 1], x[4 * q + 2], x[4 * q + 3]);
        }
      }
    } else {
      for (int at = threadIdx.x; at < chunks * V; at += threads) {
        const float x = present && at < k ? toFloat(a[i * p.rowA + at]) : 0.f;
        flat[((i * parts + at % V / 4) * chunks + at / V) * 4 + at % 4] = x;
      }
    }
  }
  __syncthreads();

  float sums[M][R];
#pragma unroll
  for (int i = 0; i < M; i++)
#pragma unroll
    for (int r = 0; r < R; r++) sums[i][r] = 0.f;
  if (whole) {
    const auto multiply = [&](const uint4 (&from)[U][R], int chunk) {
#pragma unroll
      for (int c = 0; c < U; c++) {
        if (chunk + c * lanes >= chunks) continue;
        float w[R][V];
#pragma unroll
        for (int r = 0; r < R; r++) Chunk<B>::unpack(from[c][r], w[r]);
#pragma unroll
        for (int i = 0; i < M; i++)
#pragma unroll
          for (int part = 0; part < parts; part++) {
            const float4 x = shared[(i * parts + part) * chunks + chunk + c * lanes];
#pragma unroll
            for (int r = 0; r < R; r++) {
              sums[i][r] = fmaf(x.x, w[r][part * 4], sums[i][r]);
              sums[i][r] = fmaf(x.y, w[r][part * 4 + 1], sums[i][r]);
              sums[i][r] = fmaf(x.z, w[r][part * 4 + 2], sums[i][r]);
              sums[i][r] = fmaf(x.w, w[r][part * 4 + 3], sums[i][r]);
            }
          }
      }
    };
    const int step = lanes * U;
    for (int chunk = lane; chunk < chunks; chunk += 2 * step) {
      load(odd, chunk + step);
      multiply(even, chunk);
      load(even, chunk + 2 * step);
      multiply(odd, chunk + step);
    }
  } else {
    for (int at = lane; at < k; at += lanes) {
#pragma unroll
      for (int i = 0; i < M; i++) {
        const float x = flat[((i * parts + at % V / 4) * chunks + at / V) * 4 + at % 4];
#pragma unroll
        for (int r = 0; r < R; r++) sums[i][r] = fmaf(x, toFloat(rows[r][at]), sums[i][r]);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < M; i++)
#pragma unroll
    for (int r = 0; r < R; r++)
      for (int mask = lanes / 2; mask >= 1; mask /= 2) sums[i][r] += __shfl_xor_sync(0xffffffffu, sums[i][r], mask);
  // Every lane has all sums: each stores one.
  for (int mine = lane; mine < M * R; mine += lanes) {
    float sum = 0.f;
#pragma unroll
    for (int i = 0; i < M; i++)
#pragma unroll
      for (int r = 0; r < R; r++) sum = mine == i * R + r ? sums[i][r] : sum;
    const int i = mine / R, r = mine % R;
    if (row0 + i < m && first + r < p.n) storeResult(p, sum, blockIdx.z, row0 + i, first + r);
  }
}

}  // namespace

#define FEW_ROWS(A, a, B, b, M, R, U) \
  extern "C" __global__ void __launch_bounds__(threads) few_rows_##a##_##b##_m##M##r##R(const __grid_constant__ MatmulArguments p) { \
    fewRows<A, B, M, R, U>(p); \
  }
#define FEW_ROWS_SIZES(A, a, B, b) FEW_ROWS(A, a, B, b, 1, 1, 2) FEW_ROWS(A, a, B, b, 1, 4, 1) FEW_ROWS(A, a, B, b, 4, 1, 2) FEW_ROWS(A, a, B, b, 4, 4, 1)

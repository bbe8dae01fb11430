// Products with few rows of a (decoding) against the rows of a transposed b: bound by reading b once.
// `lanes` lanes of a warp share R neighbouring outputs of each of M rows, with U loads of each row of b on their way; b streams past the cache, a
// stays in it.
#pragma once
#include "matmul-arguments.cuh"
#include "overlap.cuh"

namespace {

template <typename A, typename B, int M, int R, int U> __device__ __forceinline__ void fewRows(const MatmulArguments &p) {
  constexpr int V = Chunk<B>::size;
  const int lanes = static_cast<int>(p.lanes), lane = threadIdx.x % lanes;
  const long long group = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) / lanes;
  const long long first = group * R;
  const int m = static_cast<int>(p.m), k = static_cast<int>(p.k);
  const int row0 = blockIdx.y * M;
  const A *a = static_cast<const A *>(p.a) + blockIdx.z * p.strideA + static_cast<long long>(row0) * k;
  const B *b = static_cast<const B *>(p.b) + blockIdx.z * p.strideB;
  float sums[M][R];
#pragma unroll
  for (int i = 0; i < M; i++)
#pragma unroll
    for (int r = 0; r < R; r++) sums[i][r] = 0.f;
  const B *rows[R];
#pragma unroll
  for (int r = 0; r < R; r++) rows[r] = b + (first + r < p.n ? first + r : p.n - 1) * k;
  // What is read of b, ahead of time.
  const int rowBytes = k * static_cast<int>(sizeof(B));
#pragma unroll
  for (int r = 0; r < R; r++)
    for (int at = lane * 128; at < rowBytes; at += lanes * 128) prefetch(reinterpret_cast<const char *>(rows[r]) + at);
  awaitEarlier();
  if (k % V == 0 && k % Chunk<A>::size == 0) {
    const int stride = lanes * V;
    for (int base = lane * V; base < k; base += stride * U) {
      uint4 raw[U][R];
#pragma unroll
      for (int c = 0; c < U; c++)
#pragma unroll
        for (int r = 0; r < R; r++) raw[c][r] = loadStreamIf(base + c * stride < k, rows[r] + base + c * stride);
#pragma unroll
      for (int i = 0; i < M; i++) {
        // Rows past the end repeat the last one; their sums are dropped.
        const A *row = a + static_cast<long long>(row0 + i < m ? i : m - 1 - row0) * k + base;
        // As many elements of a as of b in a chunk: one load of 16 bytes, or two. b is never wider than a.
        constexpr int parts = V / Chunk<A>::size;
        static_assert(parts > 0, "a is as wide as b or wider");
        uint4 x[U][parts];
#pragma unroll
        for (int c = 0; c < U; c++)
#pragma unroll
          for (int part = 0; part < parts; part++) x[c][part] = loadIf(base + c * stride < k, row + c * stride + part * Chunk<A>::size);
#pragma unroll
        for (int c = 0; c < U; c++)
#pragma unroll
          for (int r = 0; r < R; r++) {
            float w[V];
            Chunk<B>::unpack(raw[c][r], w);
#pragma unroll
            for (int part = 0; part < parts; part++) {
              float values[Chunk<A>::size];
              Chunk<A>::unpack(x[c][part], values);
#pragma unroll
              for (int v = 0; v < Chunk<A>::size; v++) sums[i][r] = fmaf(values[v], w[part * Chunk<A>::size + v], sums[i][r]);
            }
          }
      }
    }
  } else {
    for (int at = lane; at < k; at += lanes) {
#pragma unroll
      for (int i = 0; i < M; i++) {
        const float x = toFloat(a[static_cast<long long>(row0 + i < m ? i : m - 1 - row0) * k + at]);
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
#pragma unroll
  for (int i = 0; i < M; i++)
#pragma unroll
    for (int r = 0; r < R; r++)
      if (lane == (i * R + r) % lanes && row0 + i < m && first + r < p.n) storeResult(p, sums[i][r], blockIdx.z, row0 + i, first + r);
}

}  // namespace

#define FEW_ROWS(A, a, B, b, M, R, U) \
  extern "C" __global__ void __launch_bounds__(128) few_rows_##a##_##b##_m##M##r##R(const __grid_constant__ MatmulArguments p) { \
    fewRows<A, B, M, R, U>(p); \
  }
#define FEW_ROWS_SIZES(A, a, B, b) FEW_ROWS(A, a, B, b, 1, 1, 6) FEW_ROWS(A, a, B, b, 1, 4, 3) FEW_ROWS(A, a, B, b, 4, 1, 4) FEW_ROWS(A, a, B, b, 4, 4, 2)

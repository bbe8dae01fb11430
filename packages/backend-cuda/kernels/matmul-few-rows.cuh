// Products with few rows of a (decoding) against the rows of a transposed b: bound by reading b once.
// `lanes` lanes of a warp share R neighbouring outputs of each of M rows; b streams past the cache, a stays in it.
#pragma once
#include "matmul-arguments.cuh"

namespace {

template <typename A, typename B, int M, int R> __device__ __forceinline__ void fewRows(const MatmulArguments &p) {
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
  const auto accumulate = [&](const float (&x)[V], const float (&w)[R][V], int i) {
#pragma unroll
    for (int r = 0; r < R; r++)
#pragma unroll
      for (int v = 0; v < V; v++) sums[i][r] = fmaf(x[v], w[r][v], sums[i][r]);
  };
  if (k % V == 0 && k % Chunk<A>::size == 0) {
#pragma unroll 4
    for (int at = lane * V; at < k; at += lanes * V) {
      uint4 raw[R];
#pragma unroll
      for (int r = 0; r < R; r++) raw[r] = loadStream(rows[r] + at);
      float w[R][V];
#pragma unroll
      for (int r = 0; r < R; r++) Chunk<B>::unpack(raw[r], w[r]);
#pragma unroll
      for (int i = 0; i < M; i++) {
        // Rows past the end repeat the last one; their sums are dropped.
        const A *from = a + static_cast<long long>(row0 + i < m ? i : m - 1 - row0) * k + at;
        float x[V];
        if constexpr (sizeof(A) == 4) {
#pragma unroll
          for (int v = 0; v < V; v += 4) {
            const float4 part = __ldg(reinterpret_cast<const float4 *>(from + v));
            x[v] = part.x, x[v + 1] = part.y, x[v + 2] = part.z, x[v + 3] = part.w;
          }
        } else if constexpr (V == 8) {
          Chunk<A>::unpack(__ldg(reinterpret_cast<const uint4 *>(from)), x);
        } else {
          const uint2 pairs = __ldg(reinterpret_cast<const uint2 *>(from));
          const float2 lo = pairToFloats(A{}, pairs.x), hi = pairToFloats(A{}, pairs.y);
          x[0] = lo.x, x[1] = lo.y, x[2] = hi.x, x[3] = hi.y;
        }
        accumulate(x, w, i);
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

#define FEW_ROWS(A, a, B, b, M, R) \
  extern "C" __global__ void __launch_bounds__(128) few_rows_##a##_##b##_m##M##r##R(const __grid_constant__ MatmulArguments p) { \
    fewRows<A, B, M, R>(p); \
  }
#define FEW_ROWS_SIZES(A, a, B, b) FEW_ROWS(A, a, B, b, 1, 1) FEW_ROWS(A, a, B, b, 1, 4) FEW_ROWS(A, a, B, b, 4, 1) FEW_ROWS(A, a, B, b, 4, 4)

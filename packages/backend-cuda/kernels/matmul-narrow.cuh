// Products of up to 64 rows of a (a batch that decodes) against the rows of a transposed b: bound by streaming b once, on the tensor cores.
// b's rows are the 16 rows of mma.sync, a's rows its 8 columns. Tiles of b come through a ring in shared memory, requested while the kernel before
// still runs where no kernel writes b; a comes through registers, where float32 becomes bfloat16. The sum over k is cut among warps, and among blocks,
// whose parts are added up in a fixed order: in a cluster from each other's shared memory, else by a second kernel. Rows are multiples of 16 bytes.
#pragma once
#include "matmul-narrow-finish.cuh"
#include "overlap.cuh"
#include "tensor-core.cuh"

namespace {

constexpr int depth = 64, rowBytes = depth * 2, rowChunks = rowBytes / 16;

// Where chunk `chunk` of row `row` lies in a tile: eight rows have it in eight places, so that ldmatrix meets no bank twice.
__device__ __forceinline__ int chunkAt(int row, int chunk) { return row * rowBytes + (chunk ^ row % 8) * 16; }

// Eight neighbours of a row of a, as they come from memory, and as the tensor cores take them.
template <typename A> struct Eight;
template <> struct Eight<Bf16> {
  uint4 bits;
  __device__ __forceinline__ void load(const Bf16 *from, bool valid) { bits = valid ? __ldcg(reinterpret_cast<const uint4 *>(from)) : make_uint4(0, 0, 0, 0); }
  __device__ __forceinline__ uint4 halves() const { return bits; }
};
template <> struct Eight<float> {
  float4 low, high;
  __device__ __forceinline__ void load(const float *from, bool valid) {
    low = valid ? __ldcg(reinterpret_cast<const float4 *>(from)) : make_float4(0.f, 0.f, 0.f, 0.f);
    high = valid ? __ldcg(reinterpret_cast<const float4 *>(from) + 1) : make_float4(0.f, 0.f, 0.f, 0.f);
  }
  __device__ __forceinline__ uint4 halves() const {
    return make_uint4(pairFromFloats(Bf16{}, low.x, low.y), pairFromFloats(Bf16{}, low.z, low.w), pairFromFloats(Bf16{}, high.x, high.y), pairFromFloats(Bf16{}, high.z, high.w));
  }
};

// A block computes BN columns x BM rows of the result over a part of k; a warp WN x WM of them over a part of every stage.
// Grid: parts of k, tiles of columns, tiles of rows.
template <typename A, int WN, int WM, int WarpsN, int WarpsM, int WarpsK> __device__ __forceinline__ void narrow(const NarrowArguments &q) {
  constexpr int BN = WN * WarpsN, BM = WM * WarpsM, threads = WarpsN * WarpsM * WarpsK * 32;
  constexpr int rowsApart = threads / rowChunks, copies = BN / rowsApart, loads = BM / rowsApart;
  static_assert(copies * rowsApart == BN && loads * rowsApart == BM && rowsApart % 8 == 0, "every thread copies as many chunks");
  constexpr int tileB = BN * rowBytes, tileA = BM * rowBytes;
  // Stages of a in registers, at 16 or 32 bytes a chunk.
  constexpr int ahead = sizeof(A) == 2 ? 4 : 2;
  const MatmulArguments &p = q.product;
  extern __shared__ __align__(1024) unsigned char sharedBytes[];
  const uint32_t base = sharedAddress(sharedBytes);
  const int stages = static_cast<int>(q.stages);
  const uint32_t baseA = base + stages * tileB;

  const int part = blockIdx.x, n = static_cast<int>(p.n), m = static_cast<int>(p.m);
  const int column0 = blockIdx.y * BN, row0 = blockIdx.z * BM;
  const int kBegin = part * static_cast<int>(p.partK), kEnd = min(kBegin + static_cast<int>(p.partK), static_cast<int>(p.k));
  const int iterations = (kEnd - kBegin + depth - 1) / depth;
  const int chunkRow = threadIdx.x / rowChunks, chunk = threadIdx.x % rowChunks;
  const int place = chunkAt(chunkRow, chunk);

  const uint16_t *const b = static_cast<const uint16_t *>(p.b) + static_cast<long long>(column0 + chunkRow) * p.k + kBegin + chunk * 8;
  const auto fetch = [&](int stage, int iteration) {
    const bool inside = kBegin + iteration * depth + chunk * 8 < kEnd;
#pragma unroll
    for (int c = 0; c < copies; c++) {
      const bool valid = inside && column0 + chunkRow + c * rowsApart < n;
      copyAsync(base + stage * tileB + place + c * rowsApart * rowBytes, valid ? b + static_cast<long long>(c * rowsApart) * p.k + iteration * depth : b, valid);
    }
  };
  const auto fill = [&] {
    for (int s = 0; s < stages - 1; s++) {
      if (s < iterations) fetch(s, s);
      closeCopies();
    }
  };
  if (q.early != 0) fill();
  awaitEarlier();
  if (q.early == 0) fill();

  const A *const a = static_cast<const A *>(p.a) + static_cast<long long>(row0 + chunkRow) * p.rowA + kBegin + chunk * 8;
  Eight<A> held[ahead][loads];
  const auto load = [&](Eight<A>(&to)[loads], int iteration) {
    const bool inside = kBegin + iteration * depth + chunk * 8 < kEnd;
#pragma unroll
    for (int c = 0; c < loads; c++) to[c].load(a + c * rowsApart * p.rowA + iteration * depth, inside && row0 + chunkRow + c * rowsApart < m);
  };
  const auto put = [&](const Eight<A>(&from)[loads], int iteration) {
#pragma unroll
    for (int c = 0; c < loads; c++) storeShared(baseA + iteration % 2 * tileA + place + c * rowsApart * rowBytes, from[c].halves());
  };

  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int warpN = warp % WarpsN * WN, warpM = warp / WarpsN % WarpsM * WM, warpK = warp / (WarpsN * WarpsM);
  constexpr int tilesN = WN / 16, tilesM = WM / 8, steps = depth / 16 / WarpsK;
  static_assert(tilesM % 2 == 0 && steps * WarpsK * 16 == depth, "whole steps, pairs of tiles");
  float sums[tilesN][tilesM][4];
#pragma unroll
  for (int i = 0; i < tilesN; i++)
#pragma unroll
    for (int j = 0; j < tilesM; j++)
#pragma unroll
      for (int l = 0; l < 4; l++) sums[i][j][l] = 0.f;
  // Rows and chunks that this lane addresses: of b rows 0 to 15 and then the chunk behind, of a eight rows, the chunk behind, and the next eight.
  const int rowB = warpN + lane % 16, chunkB = lane / 16, rowA = warpM + lane % 8 + lane / 16 * 8, chunkA = lane / 8 % 2;
  const auto multiplyStage = [&](int stage, int iteration) {
    const uint32_t fromB = base + stage * tileB, fromA = baseA + iteration % 2 * tileA;
#pragma unroll
    for (int s = 0; s < steps; s++) {
      const int first = (warpK * steps + s) * 2;
      uint32_t fb[tilesN][4], fa[tilesM / 2][4];
#pragma unroll
      for (int i = 0; i < tilesN; i++) loadMatrices<false>(fb[i], fromB + chunkAt(rowB + i * 16, first + chunkB));
#pragma unroll
      for (int j = 0; j < tilesM / 2; j++) loadMatrices<false>(fa[j], fromA + chunkAt(rowA + j * 16, first + chunkA));
#pragma unroll
      for (int i = 0; i < tilesN; i++)
#pragma unroll
        for (int j = 0; j < tilesM; j++) multiply(Bf16{}, sums[i][j], fb[i], fa[j / 2][j % 2 * 2], fa[j / 2][j % 2 * 2 + 1]);
    }
  };

#pragma unroll
  for (int d = 0; d < ahead; d++) load(held[d], d);
  put(held[0], 0);
  load(held[0], ahead);
  int stage = 0, free = stages - 1;
  for (int first = 0; first < iterations; first += ahead)
#pragma unroll
    for (int d = 0; d < ahead; d++) {
      const int iteration = first + d;
      if (iteration >= iterations) break;
      if (stages == 12) awaitCopies<10>();
      else if (stages == 6) awaitCopies<4>();
      else awaitCopies<2>();
      __syncthreads();
      // The stage that was computed last is free: every warp is past it.
      if (iteration + stages - 1 < iterations) fetch(free, iteration + stages - 1);
      closeCopies();
      multiplyStage(stage, iteration);
      put(held[(d + 1) % ahead], iteration + 1);
      load(held[(d + 1) % ahead], iteration + 1 + ahead);
      free = stage;
      stage = stage + 1 == stages ? 0 : stage + 1;
    }
  awaitCopies<0>();
  __syncthreads();

  // Through shared memory, a tile for each part of the stages: rows of the result become whole.
  constexpr int pitch = BN + 4;
  float *const tile = reinterpret_cast<float *>(sharedBytes);
#pragma unroll
  for (int i = 0; i < tilesN; i++)
#pragma unroll
    for (int j = 0; j < tilesM; j++)
#pragma unroll
      for (int l = 0; l < 4; l++)
        tile[warpK * BM * pitch + (warpM + j * 8 + lane % 4 * 2 + l % 2) * pitch + warpN + i * 16 + lane / 4 + l / 2 * 8] = sums[i][j][l];
  __syncthreads();
  finishTile<BN, BM, WarpsK, threads>(p, sharedBytes, row0, column0);
}

}  // namespace

#define NARROW(A, a, WN, WM, N, M, K) \
  extern "C" __global__ void __launch_bounds__(N * M * K * 32, 2) narrow_##a##_n##WN##x##N##_m##WM##x##M(const __grid_constant__ NarrowArguments q) { \
    narrow<A, WN, WM, N, M, K>(q); \
  }

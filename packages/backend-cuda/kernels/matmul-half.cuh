// Products of bfloat16 or float16 operands on the tensor cores (mma.sync), summed in float32. Sizes along memory must be multiples of 8.
#pragma once
#include "matmul-arguments.cuh"
#include "store-four.cuh"
#include "tensor-core.cuh"

namespace {

constexpr int depth = 32, stages = 4;

// Rows x depth of an operand in shared memory. Along: terms are neighbours (padded rows of k), else rows are (padded rows of the tile's rows).
template <int Rows, bool Along, int Threads> struct Tile {
  static constexpr int stride = (Along ? depth : Rows) + 8, bytes = (Along ? Rows : depth) * stride * 2;
  static constexpr int chunks = Rows * depth / 8;

  static __device__ __forceinline__ void fetch(uint32_t to, const uint16_t *from, long long rows, long long pitch, long long row0, long long k0, long long kEnd) {
    static_assert(chunks % Threads == 0, "every thread copies as many chunks");
#pragma unroll
    for (int q = 0; q < chunks / Threads; q++) {
      const int index = threadIdx.x + q * Threads;
      constexpr int across = (Along ? depth : Rows) / 8;
      const int outer = index / across, inner = index % across * 8;
      const long long row = row0 + (Along ? outer : inner), term = k0 + (Along ? inner : outer);
      const bool valid = row < rows && term < kEnd;
      const long long at = Along ? row * pitch + term : term * pitch + row;
      copyAsync(to + (outer * stride + inner) * 2, from + (valid ? at : 0), valid);
    }
  }

  // Address for this lane of the four 8x8 matrices of 16 rows x 16 terms, in the order (rows, terms): (0,0) (8,0) (0,8) (8,8).
  static __device__ __forceinline__ uint32_t matrices(uint32_t base, int row, int term) {
    const int lane = threadIdx.x % 32, within = lane % 8, rows8 = lane / 8 % 2 * 8, terms8 = lane / 16 * 8;
    return base + (Along ? (row + rows8 + within) * stride + term + terms8 : (term + terms8 + within) * stride + row + rows8) * 2;
  }
};

template <typename E, bool AlongA, bool AlongB, int BM, int BN, int WM, int WN> __device__ __forceinline__ void tiles(const MatmulArguments &p) {
  constexpr int warpsM = BM / WM, warpsN = BN / WN, threads = warpsM * warpsN * 32, rowTiles = WM / 16, columnTiles = WN / 8;
  using TileA = Tile<BM, AlongA, threads>;
  using TileB = Tile<BN, AlongB, threads>;
  extern __shared__ __align__(128) unsigned char sharedBytes[];
  const uint32_t base = sharedAddress(sharedBytes);
  constexpr int stageBytes = TileA::bytes + TileB::bytes;

  // Blocks that run together take a compact patch of the result, so that they share what they read.
  constexpr int patch = 8;
  const long long tilesM = (p.m + BM - 1) / BM, tilesN = (p.n + BN - 1) / BN;
  const long long tile = blockIdx.x % (tilesM * tilesN), batch = blockIdx.x / (tilesM * tilesN), part = blockIdx.z;
  const long long band = tile / (patch * tilesN), inBand = tile % (patch * tilesN);
  const long long bandRows = min(static_cast<long long>(patch), tilesM - band * patch);
  const long long row0 = (band * patch + inBand % bandRows) * BM, column0 = inBand / bandRows * BN;
  const long long kBegin = part * p.partK, kEnd = min(kBegin + p.partK, p.k);
  const uint16_t *a = static_cast<const uint16_t *>(p.a) + batch * p.strideA;
  const uint16_t *b = static_cast<const uint16_t *>(p.b) + batch * p.strideB;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int warpRow = warp / warpsN * WM, warpColumn = warp % warpsN * WN;

  float sums[rowTiles][columnTiles][4];
#pragma unroll
  for (int i = 0; i < rowTiles; i++)
#pragma unroll
    for (int j = 0; j < columnTiles; j++)
#pragma unroll
      for (int l = 0; l < 4; l++) sums[i][j][l] = 0.f;

  const auto fetch = [&](int stage, long long k0) {
    if (k0 < kEnd) {
      TileA::fetch(base + stage * stageBytes, a, p.m, p.rowA, row0, k0, kEnd);
      TileB::fetch(base + stage * stageBytes + TileA::bytes, b, p.n, AlongB ? p.k : p.n, column0, k0, kEnd);
    }
    closeCopies();
  };
#pragma unroll
  for (int s = 0; s < stages - 1; s++) fetch(s, kBegin + s * depth);
  int stage = 0;
  for (long long k0 = kBegin; k0 < kEnd; k0 += depth) {
    awaitCopies<stages - 2>();
    __syncthreads();
    fetch((stage + stages - 1) % stages, k0 + (stages - 1) * depth);
    const uint32_t tileA = base + stage * stageBytes, tileB = tileA + TileA::bytes;
#pragma unroll
    for (int term = 0; term < depth; term += 16) {
      uint32_t fa[rowTiles][4], fb[columnTiles / 2][4];
#pragma unroll
      for (int i = 0; i < rowTiles; i++) loadMatrices<!AlongA>(fa[i], TileA::matrices(tileA, warpRow + i * 16, term));
#pragma unroll
      for (int j = 0; j < columnTiles / 2; j++) loadMatrices<!AlongB>(fb[j], TileB::matrices(tileB, warpColumn + j * 16, term));
#pragma unroll
      for (int i = 0; i < rowTiles; i++)
#pragma unroll
        for (int j = 0; j < columnTiles; j++) multiply(E{}, sums[i][j], fa[i], fb[j / 2][j % 2], fb[j / 2][j % 2 + 2]);
    }
    stage = (stage + 1) % stages;
  }
  asm volatile("cp.async.wait_all;");
  __syncthreads();

  // Through shared memory, so that rows are written in whole and what follows the product is a small loop.
  constexpr int stride = BN + 4;
  static_assert(BM * stride * 4 <= stages * stageBytes, "the result's tile fits");
  float *const tileOut = reinterpret_cast<float *>(sharedBytes);
#pragma unroll
  for (int i = 0; i < rowTiles; i++)
#pragma unroll
    for (int j = 0; j < columnTiles; j++) {
      float *const at = tileOut + (warpRow + i * 16 + lane / 4) * stride + warpColumn + j * 8 + lane % 4 * 2;
      *reinterpret_cast<float2 *>(at) = make_float2(sums[i][j][0], sums[i][j][1]);
      *reinterpret_cast<float2 *>(at + 8 * stride) = make_float2(sums[i][j][2], sums[i][j][3]);
    }
  __syncthreads();
  const bool split = p.parts != nullptr, plain = split || (p.bias == nullptr && p.residual == nullptr && p.activation == activationNone);
  const bool whole = p.n % 4 == 0;
  const int type = split ? typeFloat : static_cast<int>(p.typeOut);
  void *const out = split ? p.parts + part * p.batch * p.m * p.n : p.out;
#pragma unroll 2
  for (int index = threadIdx.x; index < BM * BN / 4; index += threads) {
    const long long row = row0 + index / (BN / 4), column = column0 + index % (BN / 4) * 4;
    if (row >= p.m || column >= p.n) continue;
    const float4 four = *reinterpret_cast<const float4 *>(tileOut + index / (BN / 4) * stride + index % (BN / 4) * 4);
    float v[4] = {four.x, four.y, four.z, four.w};
    const long long at = (batch * p.m + row) * p.n + column;
    const int count = min(4LL, p.n - column);
    if (!plain)
#pragma unroll
      for (int l = 0; l < 4; l++) v[l] = l < count ? finish(p, v[l], column + l, at + l) : 0.f;
    storeFour(type, out, at, v, count, whole);
  }
}

}  // namespace

#define HALF(E, e, A, B, ab) \
  extern "C" __global__ void __launch_bounds__(256, 2) e##_128x128_##ab(const __grid_constant__ MatmulArguments p) { tiles<E, A, B, 128, 128, 64, 32>(p); } \
  extern "C" __global__ void __launch_bounds__(128) e##_64x64_##ab(const __grid_constant__ MatmulArguments p) { tiles<E, A, B, 64, 64, 32, 32>(p); }
// nn, nt, tn, tt: is a, is b transposed?
#define HALF_LAYOUTS(E, e) HALF(E, e, true, false, nn) HALF(E, e, true, true, nt) HALF(E, e, false, false, tn) HALF(E, e, false, true, tt)

// The last part of a product of few rows: sums of its warps, and of the blocks that share a tile, on their way to memory.
#pragma once
#include "matmul-arguments.cuh"
#include "store-four.cuh"
#include "tensor-core.cuh"
#ifdef NARROW_HOPPER
#include "cluster.cuh"
#endif

// As in src/routines/matmul/narrow-product.ts.
struct NarrowArguments {
  MatmulArguments product;
  long long stages;    // tiles of b in shared memory at once; of matmul-narrow.cuh 4, 6 or 12
  long long early;     // may b be read before the kernel in front has ended?
  long long prefetch;  // stages of b that are brought to the cache ahead of the ring
};

namespace {

// What is added to four neighbours of a row of the result, ahead of time.
struct Followers {
  float bias[4], residual[4];
  __device__ __forceinline__ void load(const MatmulArguments &p, long long at, long long column, int count) {
#pragma unroll
    for (int l = 0; l < 4; l++) bias[l] = p.bias != nullptr && l < count ? p.bias[column + l] : 0.f;
    if (p.residual != nullptr && p.typeResidual == typeFloat && p.n % 4 == 0) {
      const float4 four = *reinterpret_cast<const float4 *>(static_cast<const float *>(p.residual) + at);
      residual[0] = four.x, residual[1] = four.y, residual[2] = four.z, residual[3] = four.w;
      return;
    }
#pragma unroll
    for (int l = 0; l < 4; l++) residual[l] = p.residual != nullptr && l < count ? loadAs(static_cast<int>(p.typeResidual), p.residual, at + l) : 0.f;
  }
  __device__ __forceinline__ float finish(const MatmulArguments &p, float sum, int l) const {
    sum += bias[l];
    if (p.activation == activationSilu) sum = sum / (1.f + __expf(-sum));
    else if (p.activation == activationRelu) sum = fmaxf(sum, 0.f);
    return sum + residual[l];
  }
};

// The same four numbers of the first `Count` blocks of the cluster, added up in their order.
#ifdef NARROW_HOPPER
template <int Count> __device__ __forceinline__ float4 sumOfBlocks(uint32_t at) {
  float4 each[Count], sum;
#pragma unroll
  for (int r = 0; r < Count; r++) each[r] = loadFromBlock(at, r);
  sum = each[0];
#pragma unroll
  for (int r = 1; r < Count; r++) sum.x += each[r].x, sum.y += each[r].y, sum.z += each[r].z, sum.w += each[r].w;
  return sum;
}
#endif

// The tile of the result lies in shared memory, WarpsK times BM rows of BN + 4 sums, behind a barrier: adds them up, and those of the other blocks
// of the grid's x, and stores what follows the product.
template <int BN, int BM, int WarpsK, int Threads> __device__ __forceinline__ void finishTile(const MatmulArguments &p, unsigned char *sharedBytes, int row0, int column0) {
  constexpr int pitch = BN + 4, whole4 = BN / 4, quads = BM * whole4;
  float *const sums = reinterpret_cast<float *>(sharedBytes);
  const int part = blockIdx.x, n = static_cast<int>(p.n), m = static_cast<int>(p.m);
  const auto sumOfWarps = [&](int quad) {
    const float *const from = sums + quad / whole4 * pitch + quad % whole4 * 4;
    float4 sum = *reinterpret_cast<const float4 *>(from);
#pragma unroll
    for (int w = 1; w < WarpsK; w++) {
      const float4 other = *reinterpret_cast<const float4 *>(from + w * BM * pitch);
      sum.x += other.x, sum.y += other.y, sum.z += other.z, sum.w += other.w;
    }
    return sum;
  };
  const bool aligned = n % 4 == 0, apart = p.parts != nullptr;
  const int type = apart ? typeFloat : static_cast<int>(p.typeOut);
  void *const out = apart ? p.parts + static_cast<long long>(part) * m * n : p.out;
  // From quad `from` to `to`: what follows the product is read first, so that it is there when the sums are.
  const auto finishQuads = [&](int from, int to, auto &&ready, auto &&sumAt) {
    Followers followers;
    bool waiting = true;
    for (int quad = from + threadIdx.x; waiting || quad < to; quad += Threads) {
      const int row = row0 + quad / whole4, column = column0 + quad % whole4 * 4, count = min(4, n - column);
      const long long at = static_cast<long long>(row) * n + column;
      const bool present = quad < to && row < m && column < n;
      if (present && !apart) followers.load(p, at, column, count);
      if (waiting) ready();
      waiting = false;
      if (!present) continue;
      const float4 sum = sumAt(quad);
      float v[4] = {sum.x, sum.y, sum.z, sum.w};
      if (!apart)
#pragma unroll
        for (int l = 0; l < 4; l++) v[l] = followers.finish(p, v[l], l);
      storeFour(type, out, at, v, count, aligned);
    }
  };
#ifdef NARROW_HOPPER
  const int blocks = gridDim.x;
  if (blocks > 1 && !apart) {
    if (WarpsK > 1)
      for (int quad = threadIdx.x; quad < quads; quad += Threads) *reinterpret_cast<float4 *>(sums + quad / whole4 * pitch + quad % whole4 * 4) = sumOfWarps(quad);
    clusterArrive();
    // Each block of the cluster finishes its share of the tile.
    finishQuads(part * (quads / blocks), (part + 1) * (quads / blocks), clusterWait, [&](int quad) {
      const uint32_t at = sharedAddress(sharedBytes) + (quad / whole4 * pitch + quad % whole4 * 4) * 4;
      return blocks == 2 ? sumOfBlocks<2>(at) : blocks == 4 ? sumOfBlocks<4>(at) : sumOfBlocks<8>(at);
    });
    // Shared memory stays until nobody reads it.
    clusterArrive();
    clusterWait();
    return;
  }
#endif
  finishQuads(0, quads, [] {}, sumOfWarps);
}

}  // namespace

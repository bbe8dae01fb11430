// Sums of updates by row, in ascending order of position: no float atomics, the same bits in every run.
#include "fault.cuh"

namespace {

__device__ bool valid(int id, int rows, int position, Fault *fault) {
  if (id >= 0 && id < rows) return true;
  raiseFault(fault, 2, id, position, rows);
  return false;
}

}  // namespace

/// Columns of a table that fit in shared memory: each block sums its part of the positions into a table of its own, of `columns` columns from
/// blockIdx.y * columns. One thread per column, so that nothing inside needs a barrier.
extern "C" __global__ void scatter_table(const float *updates, const int *ids, float *tables, Fault *fault, int rows, int width, int count, int part, int columns) {
  extern __shared__ float table[];
  const int first = blockIdx.x * part, last = min(count, first + part), base = blockIdx.y * columns, own = min(columns, width - base);
  for (int i = threadIdx.x; i < rows * columns; i += blockDim.x) table[i] = 0.0f;
  __syncthreads();
  if (threadIdx.x < own) {
    constexpr int together = 16;
    const float *from = updates + base + threadIdx.x;
    float *to = table + threadIdx.x;
    int p = first, id[together], nextId[together];
    float value[together], nextValue[together];
    const auto load = [&](int at, int (&ids16)[together], float (&values16)[together]) {
#pragma unroll
      for (int k = 0; k < together; ++k) {
        ids16[k] = ids[at + k];
        values16[k] = from[static_cast<long long>(at + k) * width];
      }
    };
    if (p + together <= last) load(p, id, value);
    for (; p + together <= last; p += together) {
      // The next updates are on their way while these are added.
      if (p + 2 * together <= last) load(p + together, nextId, nextValue);
#pragma unroll
      for (int k = 0; k < together; ++k) {
        if (valid(id[k], rows, p + k, fault)) to[id[k] * columns] += value[k];
        id[k] = nextId[k];
        value[k] = nextValue[k];
      }
    }
    for (; p < last; ++p) {
      if (valid(ids[p], rows, p, fault)) to[ids[p] * columns] += from[static_cast<long long>(p) * width];
    }
  }
  __syncthreads();
  float *out = tables + static_cast<long long>(blockIdx.x) * rows * width + base;
  if (threadIdx.x < own) {
#pragma unroll 8
    for (int row = 0; row < rows; ++row) out[static_cast<long long>(row) * width + threadIdx.x] = table[row * columns + threadIdx.x];
  }
}

/// Adds up the tables of all blocks, in order: 32 numbers a block of 256 threads, whose 8 warps take an eighth of the tables each.
extern "C" __global__ void __launch_bounds__(256) scatter_join(const float *tables, float *out, int size, int parts) {
  __shared__ float shared[8][32];
  const int i = blockIdx.x * 32 + threadIdx.x % 32, warp = threadIdx.x / 32, each = (parts + 7) / 8;
  float sum = 0.0f;
  if (i < size) {
#pragma unroll 8
    for (int p = warp * each; p < min(parts, (warp + 1) * each); ++p) sum += tables[static_cast<long long>(p) * size + i];
  }
  shared[warp][threadIdx.x % 32] = sum;
  __syncthreads();
  if (warp != 0 || i >= size) return;
#pragma unroll
  for (int w = 1; w < 8; ++w) sum += shared[w][threadIdx.x];
  out[i] = sum;
}

/// How many positions each row gets. `counts` is zero before.
extern "C" __global__ void scatter_count(const int *ids, int *counts, Fault *fault, int rows, int count) {
  const int p = blockIdx.x * blockDim.x + threadIdx.x;
  if (p < count && valid(ids[p], rows, p, fault)) atomicAdd(counts + ids[p], 1);
}

/// One block of 256 threads per row: finds the row's positions in order and adds their updates up.
extern "C" __global__ void scatter_rows(const float *updates, const int *ids, const int *counts, float *out, int width, int count) {
  __shared__ int found[256];
  __shared__ int warpTotals[8];
  const int row = blockIdx.x;
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  int left = counts[row];
  // Up to 8 columns a thread at a time; wider rows take several sweeps.
  for (int base = 0; base < width; base += 2048) {
    float sum[8] = {};
    int open = left;
    for (int first = 0; open > 0 && first < count; first += 256) {
      const int p = first + threadIdx.x;
      const bool hit = p < count && ids[p] == row;
      const unsigned mask = __ballot_sync(~0u, hit);
      if (lane == 0) warpTotals[warp] = __popc(mask);
      __syncthreads();
      int before = 0, total = 0;
#pragma unroll
      for (int w = 0; w < 8; ++w) {
        before += w < warp ? warpTotals[w] : 0;
        total += warpTotals[w];
      }
      if (hit) found[before + __popc(mask & ((1u << lane) - 1))] = p;
      __syncthreads();
      for (int k = 0; k < total; ++k) {
        const float *update = updates + static_cast<long long>(found[k]) * width + base + threadIdx.x;
#pragma unroll
        for (int c = 0; c < 8; ++c) {
          if (base + threadIdx.x + 256 * c < width) sum[c] += update[256 * c];
        }
      }
      open -= total;
      __syncthreads();
    }
    for (int c = 0; c < 8; ++c) {
      const int column = base + threadIdx.x + 256 * c;
      if (column < width) out[static_cast<long long>(row) * width + column] = sum[c];
    }
  }
}

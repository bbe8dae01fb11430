// Sums of updates by row, in ascending order of position: no float atomics, the same bits in every run.
#include "fault.cuh"

namespace {

__device__ bool valid(int id, int rows, int position, Fault *fault) {
  if (id >= 0 && id < rows) return true;
  raiseFault(fault, 2, id, position, rows);
  return false;
}

}  // namespace

/// A table that fits in shared memory: each block sums its part of the positions into a table of its own. One thread per column.
extern "C" __global__ void scatter_table(const float *updates, const int *ids, float *tables, Fault *fault, int rows, int width, int count, int part) {
  extern __shared__ float table[];
  for (int i = threadIdx.x; i < rows * width; i += blockDim.x) table[i] = 0.0f;
  __syncthreads();
  const int first = blockIdx.x * part, last = min(count, first + part);
  // Threads own columns, so nothing here needs a barrier.
  for (int c = threadIdx.x; c < width; c += blockDim.x) {
    int p = first;
    for (; p + 4 <= last; p += 4) {
      int id[4];
      float value[4];
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        id[k] = ids[p + k];
        value[k] = updates[static_cast<long long>(p + k) * width + c];
      }
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        if (valid(id[k], rows, p + k, fault)) table[id[k] * width + c] += value[k];
      }
    }
    for (; p < last; ++p) {
      if (valid(ids[p], rows, p, fault)) table[ids[p] * width + c] += updates[static_cast<long long>(p) * width + c];
    }
  }
  __syncthreads();
  float *out = tables + static_cast<long long>(blockIdx.x) * rows * width;
  for (int i = threadIdx.x; i < rows * width; i += blockDim.x) out[i] = table[i];
}

/// Adds up the tables of all blocks, in order.
extern "C" __global__ void scatter_join(const float *tables, float *out, int size, int parts) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= size) return;
  float sum = 0.0f;
#pragma unroll 8
  for (int p = 0; p < parts; ++p) sum += tables[static_cast<long long>(p) * size + i];
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

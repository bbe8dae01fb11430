// Rows in descending order, stable, NaN first: a bitonic sort of 64-bit keys (order of the value, then position), all distinct.
#include "fault.cuh"
#include "order.cuh"

namespace {

using Key = unsigned long long;
constexpr int tile = 2048;  // keys that one block of 1024 threads sorts in shared memory

/// Grows from the first of the sorted row to the last.
__device__ Key keyOf(float value, int position) { return static_cast<Key>(~orderOf(value)) << 32 | static_cast<unsigned>(position); }

__device__ void exchange(Key &a, Key &b, bool ascending) {
  if ((a > b) == ascending) {
    const Key swapped = a;
    a = b;
    b = swapped;
  }
}

/// Merges from distance min(size, tile) / 2 down within shared memory; `base` is the position of keys[0] in the row.
__device__ void mergeShared(Key *keys, int base, int size, int distance) {
  for (; distance > 0; distance /= 2) {
    __syncthreads();
    const int i = 2 * threadIdx.x - (threadIdx.x & (distance - 1));
    exchange(keys[i], keys[i + distance], ((base + i) & size) == 0);
  }
  __syncthreads();
}

__device__ void writeRow(const Key *keys, int base, const float *x, float *values, int *indices, int width, const Fault *fault) {
  if (faulted(fault)) return;
  for (int i = threadIdx.x; i < tile; i += blockDim.x) {
    if (base + i >= width) break;
    const int from = static_cast<int>(static_cast<unsigned>(keys[i]));
    values[base + i] = x[from];
    indices[base + i] = from;
  }
}

}  // namespace

/// Sorts each tile of each row: alternately up and down, as the merges want it. Rows of one tile are done then.
extern "C" __global__ void sort_tiles(const float *x, float *values, int *indices, unsigned long long *keys, const Fault *fault, int width, int padded) {
  __shared__ Key own[tile];
  const long long row = blockIdx.y;
  const int base = blockIdx.x * tile;
  for (int i = threadIdx.x; i < tile; i += blockDim.x) own[i] = base + i < width ? keyOf(x[row * width + base + i], base + i) : ~0ull;
  for (int size = 2; size <= tile; size *= 2) mergeShared(own, base, size, size / 2);
  if (padded == tile) return writeRow(own, base, x + row * width, values + row * width, indices + row * width, width, fault);
  for (int i = threadIdx.x; i < tile; i += blockDim.x) keys[row * padded + base + i] = own[i];
}

/// One step of a merge whose partners are more than a tile apart.
extern "C" __global__ void sort_exchange(unsigned long long *keys, int padded, int size, int distance) {
  const int t = blockIdx.x * blockDim.x + threadIdx.x;
  if (t >= padded / 2) return;
  const int i = 2 * t - (t & (distance - 1));
  Key *row = keys + static_cast<long long>(blockIdx.y) * padded;
  exchange(row[i], row[i + distance], (i & size) == 0);
}

/// The rest of a merge, within tiles; after the last merge the results are written.
extern "C" __global__ void sort_merge(const float *x, float *values, int *indices, unsigned long long *keys, const Fault *fault, int width, int padded, int size) {
  __shared__ Key own[tile];
  const long long row = blockIdx.y;
  const int base = blockIdx.x * tile;
  for (int i = threadIdx.x; i < tile; i += blockDim.x) own[i] = keys[row * padded + base + i];
  mergeShared(own, base, size, tile / 2);
  if (size == padded) return writeRow(own, base, x + row * width, values + row * width, indices + row * width, width, fault);
  for (int i = threadIdx.x; i < tile; i += blockDim.x) keys[row * padded + base + i] = own[i];
}

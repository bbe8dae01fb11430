// Position of the largest value of each row: the first of equals, NaN largest.
#include "fault.cuh"
#include "order.cuh"

namespace {

using Key = unsigned long long;

__device__ Key largerOf(Key key) {
  for (int offset = 16; offset > 0; offset /= 2) {
    const Key other = __shfl_xor_sync(~0u, key, offset);
    key = other > key ? other : key;
  }
  return key;
}

/// The largest key of a block of 256 threads, in thread 0.
__device__ Key blockLargest(Key key) {
  __shared__ Key warps[8];
  key = largerOf(key);
  __syncthreads();
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = key;
  __syncthreads();
  return threadIdx.x < 32 ? largerOf(threadIdx.x < 8 ? warps[threadIdx.x] : 0) : 0;
}

}  // namespace

/// gridDim.x rows by gridDim.y parts of a row. The block that comes last joins the parts; counters are 0 before and after.
extern "C" __global__ void argmax(const float *x, int *out, unsigned long long *parts, unsigned *counters, const Fault *fault, int width) {
  __shared__ bool last;
  const long long row = blockIdx.x;
  const int part = (width + gridDim.y - 1) / gridDim.y;
  const int first = blockIdx.y * part, end = min(width, first + part);
  Key key = 0;
  for (int i = first + threadIdx.x; i < end; i += 256) {
    const Key own = static_cast<Key>(orderOf(x[row * width + i])) << 32 | ~static_cast<unsigned>(i);
    key = own > key ? own : key;
  }
  key = blockLargest(key);
  if (gridDim.y > 1) {
    if (threadIdx.x == 0) {
      *static_cast<volatile Key *>(parts + row * gridDim.y + blockIdx.y) = key;
      __threadfence();
      last = atomicInc(counters + row, gridDim.y - 1) == gridDim.y - 1;
    }
    __syncthreads();
    if (!last) return;
    __threadfence();
    key = threadIdx.x < gridDim.y ? *static_cast<volatile Key *>(parts + row * gridDim.y + threadIdx.x) : 0;
    key = blockLargest(key);
  }
  if (threadIdx.x == 0 && !faulted(fault)) out[row] = static_cast<int>(~static_cast<unsigned>(key));
}

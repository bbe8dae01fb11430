// Rows of a table at given ids.
#include "fault.cuh"
#include "numbers.cuh"

namespace {

// V neighbouring columns of type E, as they are loaded.
template <typename E, int V> struct Columns {
  E v[V];
};
template <> struct __align__(16) Columns<float, 4> {
  float v[4];
};
template <> struct __align__(8) Columns<Bf16, 4> {
  Bf16 v[4];
};
template <> struct __align__(8) Columns<Half, 4> {
  Half v[4];
};

/// A thread per V columns of a position. `N`: an integer that counts them all.
template <typename E, int V, typename N> __device__ void gather(const E *table, const int *ids, float *out, Fault *fault, int rows, int width, N groups) {
  const N group = static_cast<N>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (group >= groups) return;
  const N across = width / V, position = group / across;
  const int column = static_cast<int>(group % across) * V, id = ids[position];
  Columns<float, V> result = {};
  if (id >= 0 && id < rows) {
    const Columns<E, V> from = *reinterpret_cast<const Columns<E, V> *>(table + static_cast<long long>(id) * width + column);
#pragma unroll
    for (int i = 0; i < V; i++) result.v[i] = toFloat(from.v[i]);
  } else if (column == 0) {
    raiseFault(fault, 1, id, static_cast<int>(position), rows);
  }
  *reinterpret_cast<Columns<float, V> *>(out + static_cast<long long>(position) * width + column) = result;
}

}  // namespace

#define GATHER(E, e) \
  extern "C" __global__ void gather_##e##_4(const E *table, const int *ids, float *out, Fault *fault, int rows, int width, long long groups) { \
    if (groups < 1u << 31) gather<E, 4>(table, ids, out, fault, rows, width, static_cast<unsigned>(groups)); \
    else gather<E, 4>(table, ids, out, fault, rows, width, groups); \
  } \
  extern "C" __global__ void gather_##e##_1(const E *table, const int *ids, float *out, Fault *fault, int rows, int width, long long groups) { \
    gather<E, 1>(table, ids, out, fault, rows, width, groups); \
  }
GATHER(float, f32) GATHER(Bf16, bf16) GATHER(Half, f16)

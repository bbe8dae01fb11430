// What the forward kernels share: how (dt, dt u) and sums of y lie in shared memory, seen from lanes of channels and of items.
// `sumOverStates` adds up by exchanges between lanes instead, in twice the instructions; these take the bandwidth of
// shared memory, of which forward has more to spare than backward.
#pragma once
#include "layout.cuh"

// Keeps the compiler from computing a value of a loop again and again, to save a register.
__device__ __forceinline__ int computedOnce(int value) {
  asm volatile("" : "+r"(value));
  return value;
}

// Sums of y over the states of a channel: where lane (c, k) puts what it has summed over its own ...
template <class F> __device__ __forceinline__ int sumsOfLane(int c, int k) { return k * F::strideP + c * F::rowP; }
template <class F> __device__ __forceinline__ void storeSums(float *to, const float (&v)[F::T]) {
#pragma unroll
  for (int t = 0; t < F::T; t += 4) *reinterpret_cast<float4 *>(to + t) = make_float4(v[t], v[t + 1], v[t + 2], v[t + 3]);
}
// ... and where an item finds it.
template <class F> __device__ __forceinline__ int sumsOfItem(const Item<F> &item) {
  constexpr int lanes = 32 / F::K;
  static_assert(F::V <= lanes);
  return item.c / lanes * F::perLaneP + item.c % lanes * F::rowP + item.t;
}
template <class F> __device__ __forceinline__ float sumOfItem(const float *from, int v) {
  float sums[F::K];
#pragma unroll
  for (int k = 0; k < F::K; k++) sums[k] = from[k * F::strideP + v * F::rowP];
#pragma unroll
  for (int half = F::K / 2; half > 0; half /= 2) {
#pragma unroll
    for (int k = 0; k < half; k++) sums[k] += sums[k + half];
  }
  return sums[0];
}
// Where (dt, dt u) of an item are, in forward.
template <class F> __device__ __forceinline__ int xOfItem(const Item<F> &item) {
  constexpr int lanes = 32 / F::K;
  return item.c / lanes * F::perLaneX + item.c % lanes * F::rowX + 2 * item.t;
}

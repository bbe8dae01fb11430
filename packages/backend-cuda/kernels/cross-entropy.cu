// log Σ e^logit and the loss of the target, one block per row. The sum is rescaled whenever a larger logit comes up, so logits are read once.
#include <math_constants.h>
#include "fault.cuh"

namespace {

/// Largest value so far and the sum of e^(value - largest). NaN and +infinity are kept in `largest`.
struct Partial {
  float largest, sum;
};

__device__ float larger(float a, float b) { return a != a || b != b ? CUDART_NAN_F : fmaxf(a, b); }

__device__ Partial join(Partial a, Partial b) {
  const float largest = larger(a.largest, b.largest);
  if (!(fabsf(largest) < CUDART_INF_F)) return {largest, 0.0f};
  const float sa = a.largest == -CUDART_INF_F ? 0.0f : a.sum * expf(a.largest - largest);
  const float sb = b.largest == -CUDART_INF_F ? 0.0f : b.sum * expf(b.largest - largest);
  return {largest, sa + sb};
}

/// What is kept of a row: called by one thread.
__device__ void finishRow(const float *x, const int *targets, float *losses, float *logSumExp, Fault *fault, long long row, int classes, int ignoreIndex, Partial own) {
  const float result = fabsf(own.largest) < CUDART_INF_F ? own.largest + logf(own.sum) : own.largest;
  const int target = targets[row];
  float loss = 0.0f;
  if (target != ignoreIndex) {
    if (target < 0 || target >= classes) raiseFault(fault, 3, target, static_cast<int>(row), classes);
    else loss = result - x[target];
  }
  logSumExp[row] = result;
  losses[row] = loss;
}

}  // namespace

/// Up to 1,024 classes, a multiple of 4: a warp a row, which it keeps in registers. `fours`: of each lane.
template <int Fours> __device__ void shortRow(const float *logits, const int *targets, float *losses, float *logSumExp, Fault *fault, int rows, int classes, int ignoreIndex) {
  const long long row = static_cast<long long>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (row >= rows) return;
  const float *x = logits + row * classes;
  float v[4 * Fours];
#pragma unroll
  for (int k = 0; k < Fours; ++k) {
    const int at = (threadIdx.x + 32 * k) * 4;
    const float4 four = at < classes ? *reinterpret_cast<const float4 *>(x + at) : make_float4(-CUDART_INF_F, -CUDART_INF_F, -CUDART_INF_F, -CUDART_INF_F);
    v[4 * k] = four.x, v[4 * k + 1] = four.y, v[4 * k + 2] = four.z, v[4 * k + 3] = four.w;
  }
  float largest = v[0];
#pragma unroll
  for (int k = 1; k < 4 * Fours; ++k) largest = larger(largest, v[k]);
  for (int offset = 16; offset > 0; offset /= 2) largest = larger(largest, __shfl_xor_sync(~0u, largest, offset));
  float sum = 0.0f;
#pragma unroll
  for (int k = 0; k < 4 * Fours; ++k) sum += expf(v[k] - largest);
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(~0u, sum, offset);
  if (threadIdx.x == 0) finishRow(x, targets, losses, logSumExp, fault, row, classes, ignoreIndex, {largest, sum});
}

#define SHORT(FOURS) \
  extern "C" __global__ void __launch_bounds__(256) cross_entropy_##FOURS(const float *logits, const int *targets, float *losses, float *logSumExp, Fault *fault, int rows, int classes, int ignoreIndex) { \
    shortRow<FOURS>(logits, targets, losses, logSumExp, fault, rows, classes, ignoreIndex); \
  }
SHORT(1) SHORT(2) SHORT(4) SHORT(8)

/// blockDim.x threads a row: a power of two up to 1024, at least 32. Rows of one warp come blockDim.y to a block.
extern "C" __global__ void cross_entropy(const float *logits, const int *targets, float *losses, float *logSumExp, Fault *fault, int rows, int classes, int ignoreIndex) {
  __shared__ Partial partials[32];
  const long long row = static_cast<long long>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (row >= rows) return;
  const float *x = logits + row * classes;
  Partial own = {-CUDART_INF_F, 0.0f};
  int i = threadIdx.x;
  for (; i + 3 * static_cast<int>(blockDim.x) < classes; i += 4 * blockDim.x) {
    float v[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) v[k] = x[i + k * blockDim.x];
    const float largest = larger(own.largest, larger(larger(v[0], v[1]), larger(v[2], v[3])));
    if (fabsf(largest) < CUDART_INF_F) {
      float sum = own.largest == -CUDART_INF_F ? 0.0f : own.sum * expf(own.largest - largest);
#pragma unroll
      for (int k = 0; k < 4; ++k) sum += expf(v[k] - largest);
      own = {largest, sum};
    } else {
      own = {largest, 0.0f};
    }
  }
  for (; i < classes; i += blockDim.x) own = join(own, {x[i], 1.0f});
  for (int offset = 16; offset > 0; offset /= 2) {
    own = join(own, {__shfl_xor_sync(~0u, own.largest, offset), __shfl_xor_sync(~0u, own.sum, offset)});
  }
  if (blockDim.x > 32) {
    if (threadIdx.x % 32 == 0) partials[threadIdx.x / 32] = own;
    __syncthreads();
    if (threadIdx.x < 32) {
      own = threadIdx.x < blockDim.x / 32 ? partials[threadIdx.x] : Partial{-CUDART_INF_F, 0.0f};
      for (int offset = 16; offset > 0; offset /= 2) {
        own = join(own, {__shfl_xor_sync(~0u, own.largest, offset), __shfl_xor_sync(~0u, own.sum, offset)});
      }
    }
  }
  if (threadIdx.x != 0) return;
  finishRow(x, targets, losses, logSumExp, fault, row, classes, ignoreIndex, own);
}

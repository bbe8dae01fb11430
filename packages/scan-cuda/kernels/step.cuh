// One step: updates `lastState` in place and writes y. Four lanes share a channel; length is 1.
#pragma once
#include "arguments.cuh"
#include "numbers.cuh"

template <typename E, bool complex> __device__ __forceinline__ void stateUpdate(const ScanArguments &p) {
  using Value = typename std::conditional<complex, Complex, float>::type;
  constexpr int lanes = 4;
  const long long index = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) / lanes;
  const bool active = index < p.batch * p.channels;
  const long long row = active ? index : p.batch * p.channels - 1;
  const long long b = row / p.channels, d = row % p.channels, group = d / (p.channels / p.groups);
  const int k = threadIdx.x % lanes, dState = static_cast<int>(p.dState);
  const float u = toFloat(static_cast<const E *>(p.u)[row]);
  const float raw = toFloat(static_cast<const E *>(p.delta)[row]) + (p.deltaBias != nullptr ? p.deltaBias[d] : 0.f);
  const float dt = timeStep(raw, p.flags & flagSoftplus).dt, dtu = dt * u;
  const float keep = p.resets != nullptr && p.resets[b] != 0 ? 0.f : 1.f;
  const auto coefficient = [&](const void *from, bool variable, int n) {
    Value value;
    float *parts = reinterpret_cast<float *>(&value);
    constexpr int W = complex ? 2 : 1;
    for (int w = 0; w < W; w++) {
      parts[w] = variable ? toFloat(static_cast<const E *>(from)[((b * p.groups + group) * dState + n) * W + w])
                          : static_cast<const float *>(from)[(d * dState + n) * W + w];
    }
    return value;
  };
  float sum = 0.f;
#pragma unroll 4
  for (int n = k; n < dState; n += lanes) {
    Value *const at = reinterpret_cast<Value *>(p.lastState) + row * dState + n;
    const Value a = decay(dt, scaledA(reinterpret_cast<const Value *>(p.A)[d * dState + n]));
    Value h = *at;
    if (keep == 0.f) setZero(h);
    h = multiplyAdd(a, h, scale(dtu, coefficient(p.B, p.flags & flagVariableB, n)));
    sum = realOfProduct(coefficient(p.C, p.flags & flagVariableC, n), h, sum);
    if (active) *at = h;
  }
  for (int mask = lanes / 2; mask >= 1; mask /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, mask);
  if (!active || k != 0) return;
  float y = complex ? 2.f * sum : sum;
  if (p.D != nullptr) y = fmaf(p.D[d], u, y);
  if (p.z != nullptr) {
    const float gate = toFloat(static_cast<const E *>(p.z)[row]);
    y *= gate * sigmoid(gate);
  }
  static_cast<E *>(p.y)[row] = fromFloat<E>(y);
}

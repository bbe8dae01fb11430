// Causal depthwise convolution forward: a thread walks over `chunk` steps of V channels with the last samples in registers.
#include "causal-conv1d.cuh"

namespace {

template <int W, int V> __device__ __forceinline__ void forward(const ConvArguments &p) {
  const long long groups = p.channels / V;
  const long long index = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= p.batch * p.chunks * groups) return;
  const long long channel = index % groups * V, chunk = index / groups % p.chunks, b = index / groups / p.chunks;
  Vector<V> taps[W], past[W], bias;  // past[d]: the sample d steps ago
  loadTaps<W, V>(taps, p.weight, channel);
  if (p.bias != nullptr)
#pragma unroll
    for (int i = 0; i < V; i++) bias.v[i] = p.bias[channel + i];
  const auto advance = [&](bool reset, const Vector<V> &sample) {
    if (reset) {
#pragma unroll
      for (int d = 0; d < W; d++) past[d] = Vector<V>();
    }
#pragma unroll
    for (int d = W - 1; d >= 1; d--) past[d] = past[d - 1];
    past[0] = sample;
  };
  const auto give = [&](float *y) {
    Vector<V> sum = bias;
#pragma unroll
    for (int d = W - 1; d >= 0; d--) sum.add(taps[d], past[d]);
    if (p.silu)
#pragma unroll
      for (int i = 0; i < V; i++) sum.v[i] = silu(sum.v[i]);
    sum.store(y);
  };
  const long long begin = chunk * p.chunk, end = min(begin + p.chunk, p.length);
#pragma unroll
  for (int d = W - 1; d >= 1; d--) advance(isReset(p, b, begin - d), sampleAt<V>(p, b, begin - d, channel));
  const float *x = p.x + (b * p.length + begin) * p.rowX + channel;
  float *y = p.y + (b * p.length + begin) * p.channels + channel;
  const auto walk = [&](long long t, auto steps) {
    Vector<V> samples[steps.count];
#pragma unroll
    for (int u = 0; u < steps.count; u++) samples[u] = Vector<V>::load(x + u * p.rowX);
#pragma unroll
    for (int u = 0; u < steps.count; u++) {
      advance(steps.resets && isReset(p, b, t + u), samples[u]);
      give(y + u * p.channels);
    }
    x += steps.count * p.rowX;
    y += steps.count * p.channels;
  };
  long long t = begin;
  if (p.resets == nullptr)
    for (; t + FourSteps::count <= end; t += FourSteps::count) walk(t, FourSteps());
  for (; t < end; t++) walk(t, OneStep());
}

}  // namespace

#define FORWARD(W, V) \
  extern "C" __global__ void __launch_bounds__(128) conv_w##W##v##V(const __grid_constant__ ConvArguments p) { forward<W, V>(p); }
FORWARD(2, 1) FORWARD(2, 4) FORWARD(3, 1) FORWARD(3, 4) FORWARD(4, 1) FORWARD(4, 4)

// Any width, a thread an output.
extern "C" __global__ void __launch_bounds__(128) conv_any(const __grid_constant__ ConvArguments p) {
  const long long index = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= p.batch * p.length * p.channels) return;
  const long long channel = index % p.channels, t = index / p.channels % p.length, b = index / p.channels / p.length;
  const float sum = convolveAny(p, b, t, channel);
  p.y[index] = p.silu ? silu(sum) : sum;
}

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
  const auto advance = [&](long long t) {
    if (isReset(p, b, t)) {
#pragma unroll
      for (int d = 0; d < W; d++) past[d] = Vector<V>();
    }
#pragma unroll
    for (int d = W - 1; d >= 1; d--) past[d] = past[d - 1];
    past[0] = sampleAt<V>(p, b, t, channel);
  };
  const long long begin = chunk * p.chunk, end = min(begin + p.chunk, p.length);
#pragma unroll
  for (int d = W - 1; d >= 1; d--) advance(begin - d);
#pragma unroll 4
  for (long long t = begin; t < end; t++) {
    advance(t);
    Vector<V> sum = bias;
#pragma unroll
    for (int d = W - 1; d >= 0; d--) sum.add(taps[d], past[d]);
    if (p.silu)
#pragma unroll
      for (int i = 0; i < V; i++) sum.v[i] = silu(sum.v[i]);
    sum.store(p.y + (b * p.length + t) * p.channels + channel);
  }
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
  float sum = p.bias != nullptr ? p.bias[channel] : 0.f;
  for (long long d = 0; d < p.width; d++) {
    if (d > 0 && isReset(p, b, t - d + 1)) break;
    sum = fmaf(p.weight[channel * p.width + p.width - 1 - d], sampleAt<1>(p, b, t - d, channel).v[0], sum);
  }
  p.y[index] = p.silu ? silu(sum) : sum;
}

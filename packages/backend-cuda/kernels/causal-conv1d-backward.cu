// Gradients of the causal depthwise convolution: a thread walks back over `chunk` steps of V channels with the next gradients in registers.
// Sums over rows go through `parts` in a fixed order: the same bits every time.
#include "causal-conv1d.cuh"

namespace {

// With SiLU behind it the convolution is computed once more, from the samples that its weights' gradients need anyway.
template <int W, int V, bool Silu> __device__ __forceinline__ void backward(const ConvArguments &p) {
  const long long groups = p.channels / V;
  const long long index = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= p.batch * p.chunks * groups) return;
  const long long channel = index % groups * V, chunk = index / groups % p.chunks, b = index / groups / p.chunks;
  Vector<V> taps[W], next[W], sums[W], bias;  // next[d]: the gradient d steps later
  Vector<V> window[W], convBias;  // window[d]: the sample d steps before the last that arrived
  loadTaps<W, V>(taps, p.weight, channel);
  if (Silu && p.bias != nullptr)
#pragma unroll
    for (int i = 0; i < V; i++) convBias.v[i] = p.bias[channel + i];
  // The gradient of step t, 0 unless it is inside the sequence, and for SiLU the sample W - 1 steps before it.
  const auto arrive = [&](long long t, bool inside, bool resets, const Vector<V> &gradY, const Vector<V> &sample) {
#pragma unroll
    for (int d = W - 1; d >= 1; d--) next[d] = next[d - 1];
    next[0] = gradY;
    if constexpr (Silu) {
#pragma unroll
      for (int d = 0; d < W - 1; d++) window[d] = window[d + 1];
      window[W - 1] = sample;
      if (!inside) return;
      Vector<V> y = convBias;
      bool reaches = true;
#pragma unroll
      for (int d = 0; d < W; d++) {
        reaches = reaches && !(d > 0 && resets && isReset(p, b, t - d + 1));
        if (reaches) y.add(taps[d], window[d]);
      }
#pragma unroll
      for (int i = 0; i < V; i++) next[0].v[i] *= siluSlope(y.v[i]);
    }
  };
  const auto leave = [&](long long t) {
    // Nothing before a reset reaches what comes at it or later.
    if (t < p.length && isReset(p, b, t)) {
#pragma unroll
      for (int d = 0; d < W; d++) next[d] = Vector<V>();
    }
  };
  const auto gradient = [&]() {
    Vector<V> sum;
#pragma unroll
    for (int d = W - 1; d >= 0; d--) sum.add(taps[d], next[d]);
    return sum;
  };
  const long long begin = chunk * p.chunk, end = min(begin + p.chunk, p.length);
  if constexpr (Silu) {
#pragma unroll
    for (int d = 1; d < W; d++) {
      const long long t = end + W - 1 - d;
      window[d] = t < p.length ? sampleAt<V>(p, b, t, channel) : Vector<V>();
    }
  }
#pragma unroll
  for (int d = W - 2; d >= 0; d--) {
    const long long t = end + d;
    const bool inside = t < p.length;
    arrive(
        t, inside, true, inside ? Vector<V>::load(p.gradY + (b * p.length + t) * p.channels + channel) : Vector<V>(),
        Silu && t - (W - 1) < p.length ? sampleAt<V>(p, b, t - (W - 1), channel) : Vector<V>());
    leave(t);
  }
  // x of the step, or for SiLU W - 1 steps before it.
  constexpr int before = Silu ? W - 1 : 0;
  long long t = end - 1;
  const float *gradY = p.gradY + (b * p.length + t) * p.channels + channel, *x = p.x + (b * p.length + t - before) * p.rowX + channel;
  float *gradX = p.gradX + (b * p.length + t) * p.channels + channel;
  const auto walk = [&](auto steps, const auto &sampleOf) {
    Vector<V> grads[steps.count], samples[steps.count];
#pragma unroll
    for (int u = 0; u < steps.count; u++) {
      grads[u] = Vector<V>::load(gradY - u * p.channels);
      samples[u] = sampleOf(u);
    }
#pragma unroll
    for (int u = 0; u < steps.count; u++) {
      arrive(t - u, true, steps.resets, grads[u], samples[u]);
      gradient().store(gradX - u * p.channels);
      const Vector<V> now = Silu ? window[0] : samples[u];
#pragma unroll
      for (int d = 0; d < W; d++) sums[d].add(now, next[d]);
#pragma unroll
      for (int i = 0; i < V; i++) bias.v[i] += next[0].v[i];
      if (steps.resets) leave(t - u);
    }
    t -= steps.count;
    gradY -= steps.count * p.channels;
    gradX -= steps.count * p.channels;
    x -= steps.count * p.rowX;
  };
  if (p.resets == nullptr)
    while (t - (FourSteps::count - 1) >= max(begin, static_cast<long long>(before))) walk(FourSteps(), [&](int u) { return Vector<V>::load(x - u * p.rowX); });
  while (t >= begin) walk(OneStep(), [&](int) { return sampleAt<V>(p, b, t - before, channel); });
  if (begin == 0) {
#pragma unroll
    for (long long t = -1; t > -W; t--) {
      arrive(t, false, true, Vector<V>(), Vector<V>());
      const Vector<V> none, x = sampleAt<V>(p, b, t, channel);
      (p.initial != nullptr ? gradient() : none).store(p.gradInitial + (b * (W - 1) + W - 1 + t) * p.channels + channel);
#pragma unroll
      for (int d = 0; d < W; d++) sums[d].add(x, next[d]);
    }
  }
  float *part = p.parts + ((b * p.chunks + chunk) * p.channels + channel) * (W + 1);
#pragma unroll
  for (int i = 0; i < V; i++) {
#pragma unroll
    for (int d = 0; d < W; d++) part[i * (W + 1) + W - 1 - d] = sums[d].v[i];
    part[i * (W + 1) + W] = bias.v[i];
  }
}

}  // namespace

#define BACKWARD(W, V) \
  extern "C" __global__ void __launch_bounds__(128, 4) conv_backward_w##W##v##V(const __grid_constant__ ConvArguments p) { backward<W, V, false>(p); } \
  extern "C" __global__ void __launch_bounds__(128, 4) conv_backward_silu_w##W##v##V(const __grid_constant__ ConvArguments p) { backward<W, V, true>(p); }
BACKWARD(2, 1) BACKWARD(2, 4) BACKWARD(3, 1) BACKWARD(3, 4) BACKWARD(4, 1) BACKWARD(4, 4)

// Any width: gradY behind SiLU becomes the gradient before it, in `parts`, a thread an element.
extern "C" __global__ void __launch_bounds__(128) conv_before_silu_any(const __grid_constant__ ConvArguments p) {
  const long long index = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= p.batch * p.length * p.channels) return;
  const long long channel = index % p.channels, t = index / p.channels % p.length, b = index / p.channels / p.length;
  p.parts[index] = p.gradY[index] * siluSlope(convolveAny(p, b, t, channel));
}

// Any width, a thread an element of gradX or gradInitial.
extern "C" __global__ void __launch_bounds__(128) conv_backward_any(const __grid_constant__ ConvArguments p) {
  const long long steps = p.length + p.width - 1;
  const long long index = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= p.batch * steps * p.channels) return;
  const long long channel = index % p.channels, t = index / p.channels % steps - (p.width - 1), b = index / p.channels / steps;
  float sum = 0.f;
  for (long long d = 0; d < p.width && t + d < p.length; d++) {
    if (d > 0 && isReset(p, b, t + d)) break;
    if (t + d >= 0) sum = fmaf(p.weight[channel * p.width + p.width - 1 - d], p.gradY[(b * p.length + t + d) * p.channels + channel], sum);
  }
  if (t >= 0) p.gradX[(b * p.length + t) * p.channels + channel] = sum;
  else p.gradInitial[(b * (p.width - 1) + p.width - 1 + t) * p.channels + channel] = p.initial != nullptr ? sum : 0.f;
}

// Any width, a thread one weight (or bias) of one slice of rows.
extern "C" __global__ void __launch_bounds__(128) conv_weights_any(const __grid_constant__ ConvArguments p) {
  const long long columns = p.channels * (p.width + 1);
  const long long index = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= p.slices * columns) return;
  const long long channel = index % columns / (p.width + 1), j = index % (p.width + 1), slice = index / columns;
  const long long chunk = slice % p.chunks, b = slice / p.chunks, d = p.width - 1 - j;
  float sum = 0.f;
  for (long long t = chunk * p.chunk; t < min((chunk + 1) * p.chunk, p.length); t++) {
    const float g = p.gradY[(b * p.length + t) * p.channels + channel];
    bool reaches = true;
    for (long long back = 0; back < d && reaches; back++) reaches = !isReset(p, b, t - back);
    if (j == p.width) sum += g;
    else if (reaches) sum = fmaf(g, sampleAt<1>(p, b, t - d, channel).v[0], sum);
  }
  p.parts[index] = sum;
}

// Adds up the slices: 32 columns a block, whose 32 warps take every 32nd slice.
extern "C" __global__ void __launch_bounds__(1024) conv_sum_slices(const __grid_constant__ ConvArguments p) {
  __shared__ float shared[32][32];
  const long long columns = p.channels * (p.width + 1), column = static_cast<long long>(blockIdx.x) * 32 + threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  float sum = 0.f;
  if (column < columns) {
#pragma unroll 8
    for (long long slice = warp; slice < p.slices; slice += 32) sum += p.parts[slice * columns + column];
  }
  shared[warp][threadIdx.x % 32] = sum;
  __syncthreads();
  if (warp != 0 || column >= columns) return;
#pragma unroll
  for (int w = 1; w < 32; w++) sum += shared[w][threadIdx.x];
  const long long channel = column / (p.width + 1), j = column % (p.width + 1);
  if (j == p.width) p.gradBias[channel] = sum;
  else p.gradWeight[channel * p.width + j] = sum;
}

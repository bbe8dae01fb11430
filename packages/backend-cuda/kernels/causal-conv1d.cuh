// The causal depthwise convolution's arguments, as in src/routines/causal-conv1d.ts: every field takes 8 bytes. All arrays are float32.
#pragma once

struct ConvArguments {
  const float *gradY, *x, *weight, *bias, *initial;
  const int *resets;
  float *y, *gradX, *gradWeight, *gradBias, *gradInitial;
  float *parts;  // (slices, channels, width + 1): sums of a slice for gradWeight and gradBias
  long long batch, length, channels, width;
  long long rowX;    // elements from one step of x to the next
  long long chunk;   // steps of a thread
  long long chunks;  // of a sequence
  long long slices;  // rows of parts
  long long silu;    // y goes through SiLU
};

// Steps whose samples a thread loads at once, so that it waits for memory once for all of them. May some of them be resets?
template <int Count, bool Resets> struct Steps {
  static constexpr int count = Count;
  static constexpr bool resets = Resets;
};
using FourSteps = Steps<4, false>;
using OneStep = Steps<1, true>;

// V neighbouring channels.
template <int V> struct Vector {
  float v[V];
  __device__ __forceinline__ Vector() {
#pragma unroll
    for (int i = 0; i < V; i++) v[i] = 0.f;
  }
  static __device__ __forceinline__ Vector load(const float *from) {
    Vector r;
    if constexpr (V == 4) {
      const float4 f = __ldg(reinterpret_cast<const float4 *>(from));
      r.v[0] = f.x, r.v[1] = f.y, r.v[2] = f.z, r.v[3] = f.w;
    } else {
      r.v[0] = __ldg(from);
    }
    return r;
  }
  __device__ __forceinline__ void store(float *to) const {
    if constexpr (V == 4) *reinterpret_cast<float4 *>(to) = make_float4(v[0], v[1], v[2], v[3]);
    else to[0] = v[0];
  }
  __device__ __forceinline__ void add(const Vector &a, const Vector &b) {
#pragma unroll
    for (int i = 0; i < V; i++) v[i] = fmaf(a.v[i], b.v[i], v[i]);
  }
};

// Weights of V channels by distance: [d] meets the sample d steps ago.
template <int W, int V> __device__ __forceinline__ void loadTaps(Vector<V> (&taps)[W], const float *weight, long long channel) {
#pragma unroll
  for (int d = 0; d < W; d++)
#pragma unroll
    for (int i = 0; i < V; i++) taps[d].v[i] = weight[(channel + i) * W + W - 1 - d];
}

// Sample of x at step t, which may lie in `initial`.
template <int V> __device__ __forceinline__ Vector<V> sampleAt(const ConvArguments &p, long long b, long long t, long long channel) {
  if (t >= 0) return Vector<V>::load(p.x + (b * p.length + t) * p.rowX + channel);
  if (p.initial == nullptr) return Vector<V>();
  return Vector<V>::load(p.initial + (b * (p.width - 1) + p.width - 1 + t) * p.channels + channel);
}

__device__ __forceinline__ float silu(float y) { return __fdividef(y, 1.f + __expf(-y)); }

// Of silu(y).
__device__ __forceinline__ float siluSlope(float y) {
  const float s = __fdividef(1.f, 1.f + __expf(-y));
  return s * fmaf(y, 1.f - s, 1.f);
}

__device__ __forceinline__ bool isReset(const ConvArguments &p, long long b, long long t) {
  return p.resets != nullptr && t >= 0 && p.resets[b * p.length + t] != 0;
}

// Before SiLU, of any width, one element.
__device__ __forceinline__ float convolveAny(const ConvArguments &p, long long b, long long t, long long channel) {
  float sum = p.bias != nullptr ? p.bias[channel] : 0.f;
  for (long long d = 0; d < p.width; d++) {
    if (d > 0 && isReset(p, b, t - d + 1)) break;
    sum = fmaf(p.weight[channel * p.width + p.width - 1 - d], sampleAt<1>(p, b, t - d, channel).v[0], sum);
  }
  return sum;
}

// Long depthwise convolutions and correlations, channel-last, float32: term by term where they are short, else by transforms of segments.
//
// Time is cut into segments of S = N / 2 steps. A signal's segment i is what lies in [(i-1)S, (i+1)S), a filter's is its taps [iS, (i+1)S) with S
// zeros behind. A circular convolution of N then gives S good outputs, and a long filter is a sum over its segments (overlap-save, partitioned):
//   y_i = last half of ifft(sum_j U_{i-j} K_j),   gradKernel_m = first half of ifft(sum_{b,i} G_{b,i} conj(U_{b,i-m})),
// with G_i like U_i, its first half zero. Neighbouring channels travel as real and imaginary part of one transform.
#include <cstdint>

// As in src/routines/long-conv.ts: every field takes 8 bytes.
struct LongConvArguments {
  const float *signal, *filter;  // (batch, length, channels); (taps, channels), or a second signal
  float *out;                    // (batch, length, channels) or (taps, channels)
  float2 *spectraA, *spectraB, *spectraOut;  // (matrices, segments, S + 1, channels)
  long long batch, length, channels, taps;
  long long segmentsA, segmentsB, segmentsOut;
  long long backwards;  // time runs from the end
};

namespace {

constexpr int pairs = 4, threads = 256;  // pairs of channels of a block

__device__ __forceinline__ float2 operator+(float2 a, float2 b) { return make_float2(a.x + b.x, a.y + b.y); }
__device__ __forceinline__ float2 operator-(float2 a, float2 b) { return make_float2(a.x - b.x, a.y - b.y); }
__device__ __forceinline__ float2 operator*(float2 a, float2 b) { return make_float2(fmaf(a.x, b.x, -a.y * b.y), fmaf(a.x, b.y, a.y * b.x)); }
__device__ __forceinline__ float2 conjugate(float2 a) { return make_float2(a.x, -a.y); }
__device__ __forceinline__ float2 addProduct(float2 a, float2 b, float2 c) {
  return make_float2(fmaf(a.x, b.x, fmaf(-a.y, b.y, c.x)), fmaf(a.x, b.y, fmaf(a.y, b.x, c.y)));
}

template <int Log> struct Transform {
  static constexpr int N = 1 << Log, S = N / 2;

  static __device__ __forceinline__ int reversed(int k) { return __brev(k) >> (32 - Log); }

  // exp(-2 pi i k / N)
  static __device__ __forceinline__ void fillTwiddles(float2 *twiddles) {
    for (int k = threadIdx.x; k < N / 2; k += threads) {
      float sine, cosine;
      sincospif(2.f * k / N, &sine, &cosine);
      twiddles[k] = make_float2(cosine, -sine);
    }
  }

  // In natural order in, in bit-reversed order out.
  static __device__ __forceinline__ void forward(float2 *data, const float2 *twiddles) {
    for (int half = N / 2; half >= 1; half /= 2) {
      __syncthreads();
#pragma unroll 4
      for (int i = threadIdx.x; i < pairs * N / 2; i += threads) {
        const int within = i % (N / 2), at = i / (N / 2) * N + within / half * 2 * half + within % half;
        const float2 a = data[at], b = data[at + half];
        data[at] = a + b;
        data[at + half] = (a - b) * twiddles[within % half * (N / 2 / half)];
      }
    }
    __syncthreads();
  }

  // The inverse times N: bit-reversed in, natural out.
  static __device__ __forceinline__ void inverse(float2 *data, const float2 *twiddles) {
    for (int half = 1; half < N; half *= 2) {
      __syncthreads();
#pragma unroll 4
      for (int i = threadIdx.x; i < pairs * N / 2; i += threads) {
        const int within = i % (N / 2), at = i / (N / 2) * N + within / half * 2 * half + within % half;
        const float2 a = data[at], b = data[at + half] * conjugate(twiddles[within % half * (N / 2 / half)]);
        data[at] = a + b;
        data[at + half] = a - b;
      }
    }
    __syncthreads();
  }
};

enum Placement { signalWhole, signalSecondHalf, filterFirstHalf };

// Block: one segment of one matrix, 8 channels. x: channel groups, y: segments, z: matrices.
template <int Log> __device__ __forceinline__ void spectra(const float *from, float2 *to, long long rows, long long channels, bool backwards, Placement placement) {
  using T = Transform<Log>;
  extern __shared__ float2 shared[];
  float2 *const data = shared, *const twiddles = shared + pairs * T::N;
  T::fillTwiddles(twiddles);
  const long long channel0 = static_cast<long long>(blockIdx.x) * 2 * pairs, segment = blockIdx.y;
  from += blockIdx.z * rows * channels;
  const long long start = (placement == filterFirstHalf ? segment : segment - 1) * T::S;
  for (int i = threadIdx.x; i < pairs * T::N; i += threads) {
    const int position = i / pairs, pair = i % pairs;
    const long long t = start + position, channel = channel0 + 2 * pair;
    const bool inside = placement == signalWhole || (placement == filterFirstHalf) == (position < T::S);
    float2 v = make_float2(0.f, 0.f);
    if (inside && t >= 0 && t < rows) {
      const float *at = from + (backwards ? rows - 1 - t : t) * channels + channel;
      if (channel < channels) v.x = at[0];
      if (channel + 1 < channels) v.y = at[1];
    }
    data[pair * T::N + position] = v;
  }
  T::forward(data, twiddles);
  to += (blockIdx.z * gridDim.y + segment) * (T::S + 1) * channels;
  for (int i = threadIdx.x; i < pairs * (T::S + 1); i += threads) {
    const int k = i / pairs, pair = i % pairs;
    const long long channel = channel0 + 2 * pair;
    const float2 a = data[pair * T::N + T::reversed(k)], b = conjugate(data[pair * T::N + T::reversed((T::N - k) % T::N)]);
    const float2 sum = a + b, difference = a - b;
    if (channel < channels) to[k * channels + channel] = make_float2(0.5f * sum.x, 0.5f * sum.y);
    if (channel + 1 < channels) to[k * channels + channel + 1] = make_float2(0.5f * difference.y, -0.5f * difference.x);
  }
}

template <int Log> __device__ __forceinline__ void back(const LongConvArguments &p, bool taps) {
  using T = Transform<Log>;
  extern __shared__ float2 shared[];
  float2 *const data = shared, *const twiddles = shared + pairs * T::N;
  T::fillTwiddles(twiddles);
  const long long channel0 = static_cast<long long>(blockIdx.x) * 2 * pairs, segment = blockIdx.y, rows = taps ? p.taps : p.length;
  const float2 *from = p.spectraOut + (blockIdx.z * gridDim.y + segment) * (T::S + 1) * p.channels;
  for (int i = threadIdx.x; i < pairs * (T::S + 1); i += threads) {
    const int k = i / pairs, pair = i % pairs;
    const long long channel = channel0 + 2 * pair;
    float2 a = make_float2(0.f, 0.f), b = a;
    if (channel < p.channels) a = from[k * p.channels + channel];
    if (channel + 1 < p.channels) b = from[k * p.channels + channel + 1];
    // a + i b, and at the mirrored frequency conj(a) + i conj(b).
    data[pair * T::N + T::reversed(k)] = make_float2(a.x - b.y, a.y + b.x);
    if (k > 0 && k < T::S) data[pair * T::N + T::reversed(T::N - k)] = make_float2(a.x + b.y, b.x - a.y);
  }
  T::inverse(data, twiddles);
  float *out = p.out + blockIdx.z * rows * p.channels;
  for (int i = threadIdx.x; i < pairs * T::S; i += threads) {
    const int position = i / pairs, pair = i % pairs;
    const long long t = segment * T::S + position, channel = channel0 + 2 * pair;
    if (t >= rows) continue;
    const float2 v = data[pair * T::N + position + (taps ? 0 : T::S)];
    float *at = out + (p.backwards ? rows - 1 - t : t) * p.channels + channel;
    if (channel < p.channels) at[0] = v.x * (1.f / T::N);
    if (channel + 1 < p.channels) at[1] = v.y * (1.f / T::N);
  }
}

// Eight output segments a thread, of one frequency and channel. x: frequencies and channels, y: segments, z: batch.
template <int Log> __device__ __forceinline__ void convolve(const LongConvArguments &p) {
  constexpr int outputs = 8;
  const long long points = (Transform<Log>::S + 1) * p.channels, at = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= points) return;
  const float2 *u = p.spectraA + blockIdx.z * p.segmentsA * points + at, *k = p.spectraB + at;
  const int first = blockIdx.y * outputs, segments = static_cast<int>(p.segmentsA), filters = static_cast<int>(p.segmentsB);
  const auto signal = [&](int i) { return i >= 0 && i < segments ? u[i * points] : make_float2(0.f, 0.f); };
  float2 window[outputs], sums[outputs];
#pragma unroll
  for (int o = 0; o < outputs; o++) {
    window[o] = signal(first + o);
    sums[o] = make_float2(0.f, 0.f);
  }
  const int last = min(filters, first + outputs);
  for (int j = 0; j < last; j++) {
    const float2 filter = k[j * points];
#pragma unroll
    for (int o = 0; o < outputs; o++) sums[o] = addProduct(window[o], filter, sums[o]);
#pragma unroll
    for (int o = outputs - 1; o >= 1; o--) window[o] = window[o - 1];
    window[0] = signal(first - j - 1);
  }
  float2 *to = p.spectraOut + blockIdx.z * p.segmentsOut * points + at;
#pragma unroll
  for (int o = 0; o < outputs; o++)
    if (first + o < p.segmentsOut) to[(first + o) * points] = sums[o];
}

// x: frequencies and channels, y: segments of taps.
template <int Log> __device__ __forceinline__ void correlate(const LongConvArguments &p) {
  const long long points = (Transform<Log>::S + 1) * p.channels, at = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= points) return;
  const long long m = blockIdx.y;
  float2 sum = make_float2(0.f, 0.f);
  for (long long b = 0; b < p.batch; b++) {
    const float2 *g = p.spectraA + b * p.segmentsA * points + at, *u = p.spectraB + b * p.segmentsB * points + at;
#pragma unroll 4
    for (long long i = m; i < p.segmentsA; i++) sum = addProduct(g[i * points], conjugate(u[(i - m) * points]), sum);
  }
  p.spectraOut[m * points + at] = sum;
}

}  // namespace

#define LONG_CONV(Log) \
  extern "C" __global__ void __launch_bounds__(threads) spectra_signal_##Log(const __grid_constant__ LongConvArguments p) { \
    spectra<Log>(p.signal, p.spectraA, p.length, p.channels, p.backwards, signalWhole); \
  } \
  extern "C" __global__ void __launch_bounds__(threads) spectra_gradient_##Log(const __grid_constant__ LongConvArguments p) { \
    spectra<Log>(p.signal, p.spectraA, p.length, p.channels, false, signalSecondHalf); \
  } \
  extern "C" __global__ void __launch_bounds__(threads) spectra_other_##Log(const __grid_constant__ LongConvArguments p) { \
    spectra<Log>(p.filter, p.spectraB, p.length, p.channels, false, signalWhole); \
  } \
  extern "C" __global__ void __launch_bounds__(threads) spectra_filter_##Log(const __grid_constant__ LongConvArguments p) { \
    spectra<Log>(p.filter, p.spectraB, p.taps, p.channels, false, filterFirstHalf); \
  } \
  extern "C" __global__ void __launch_bounds__(threads) convolve_##Log(const __grid_constant__ LongConvArguments p) { convolve<Log>(p); } \
  extern "C" __global__ void __launch_bounds__(threads) correlate_##Log(const __grid_constant__ LongConvArguments p) { correlate<Log>(p); } \
  extern "C" __global__ void __launch_bounds__(threads) inverse_signal_##Log(const __grid_constant__ LongConvArguments p) { back<Log>(p, false); } \
  extern "C" __global__ void __launch_bounds__(threads) inverse_taps_##Log(const __grid_constant__ LongConvArguments p) { back<Log>(p, true); }
LONG_CONV(8)
LONG_CONV(11)

// Term by term, a thread an output.
extern "C" __global__ void __launch_bounds__(threads) direct_signal(const __grid_constant__ LongConvArguments p) {
  const long long index = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= p.batch * p.length * p.channels) return;
  const long long channel = index % p.channels, t = index / p.channels % p.length;
  const long long terms = min(p.taps, p.backwards ? p.length - t : t + 1), step = p.backwards ? p.channels : -p.channels;
  float sum = 0.f;
#pragma unroll 4
  for (long long j = 0; j < terms; j++) sum = fmaf(p.filter[j * p.channels + channel], p.signal[index + j * step], sum);
  p.out[index] = sum;
}

extern "C" __global__ void __launch_bounds__(threads) direct_taps(const __grid_constant__ LongConvArguments p) {
  const long long index = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= p.taps * p.channels) return;
  const long long channel = index % p.channels, j = index / p.channels;
  float sum = 0.f;
  for (long long b = 0; b < p.batch; b++)
#pragma unroll 4
    for (long long t = j; t < p.length; t++)
      sum = fmaf(p.signal[(b * p.length + t) * p.channels + channel], p.filter[(b * p.length + t - j) * p.channels + channel], sum);
  p.out[index] = sum;
}

// Number types: storage (float, bf16) and values (real, complex).
#pragma once

struct Bf16 {
  unsigned short bits;
};

__device__ __forceinline__ float toFloat(float x) { return x; }
__device__ __forceinline__ float toFloat(Bf16 x) { return __uint_as_float(static_cast<unsigned>(x.bits) << 16); }

template <typename E> __device__ __forceinline__ E fromFloat(float x);
template <> __device__ __forceinline__ float fromFloat<float>(float x) { return x; }
template <> __device__ __forceinline__ Bf16 fromFloat<Bf16>(float x) {
  Bf16 result;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(x));
  return result;
}

// V neighbours, moved by one load or store.
template <typename E, int V> struct alignas(sizeof(E) * V < 16 ? sizeof(E) * V : 16) Pack {
  E x[V];
};

template <typename E, int V> __device__ __forceinline__ Pack<E, V> loadPack(const E *from) {
  return *reinterpret_cast<const Pack<E, V> *>(from);
}
template <typename E, int V> __device__ __forceinline__ void storePack(E *to, const Pack<E, V> &value) {
  *reinterpret_cast<Pack<E, V> *>(to) = value;
}
// To shared memory by one instruction. The compiler makes V of them where it does not see what the address is aligned to.
template <int V> __device__ __forceinline__ void storeShared(float *to, const Pack<float, V> &value) {
  if constexpr (V == 4) {
    const auto at = static_cast<unsigned>(__cvta_generic_to_shared(to));
    asm volatile("st.shared.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(at), "f"(value.x[0]), "f"(value.x[1]), "f"(value.x[2]), "f"(value.x[3]) : "memory");
  } else if constexpr (V == 2) {
    const auto at = static_cast<unsigned>(__cvta_generic_to_shared(to));
    asm volatile("st.shared.v2.f32 [%0], {%1, %2};" ::"r"(at), "f"(value.x[0]), "f"(value.x[1]) : "memory");
  } else {
    storePack(to, value);
  }
}

// V neighbours of storage E as they are in memory. Pairs of bf16 stay in one register until they are needed.
template <typename E, int V> struct Stored {
  Pack<E, V> values;
  __device__ __forceinline__ float get(int i) const { return toFloat(values.x[i]); }
  __device__ __forceinline__ void set(const float (&from)[V]) {
#pragma unroll
    for (int i = 0; i < V; i++) values.x[i] = fromFloat<E>(from[i]);
  }
};
template <int V> struct StoredPairs {
  Pack<unsigned, V / 2> values;
  __device__ __forceinline__ float get(int i) const {
    const unsigned word = values.x[i / 2];
    return __uint_as_float(i % 2 == 0 ? word << 16 : word & 0xffff0000u);
  }
  __device__ __forceinline__ void set(const float (&from)[V]) {
#pragma unroll
    for (int i = 0; i < V; i += 2) {
      asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(values.x[i / 2]) : "f"(from[i + 1]), "f"(from[i]));
    }
  }
};
template <> struct Stored<Bf16, 2> : StoredPairs<2> {};
template <> struct Stored<Bf16, 4> : StoredPairs<4> {};
template <> struct Stored<Bf16, 8> : StoredPairs<8> {};

struct Complex {
  float r, i;
};

__device__ __forceinline__ float exp2Fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ __forceinline__ float log2Fast(float x) {
  float y;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ __forceinline__ float reciprocalFast(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

constexpr float log2e = 1.4426950408889634f, ln2 = 0.6931471805599453f, twoPi = 6.283185307179586f;

// Multiplication by a real, products with and without the conjugate, and Re of both.
__device__ __forceinline__ float scale(float f, float v) { return f * v; }
__device__ __forceinline__ Complex scale(float f, Complex v) { return {f * v.r, f * v.i}; }
__device__ __forceinline__ float scaleAdd(float f, float v, float w) { return fmaf(f, v, w); }
__device__ __forceinline__ Complex scaleAdd(float f, Complex v, Complex w) { return {fmaf(f, v.r, w.r), fmaf(f, v.i, w.i)}; }
__device__ __forceinline__ float multiply(float a, float b) { return a * b; }
__device__ __forceinline__ Complex multiply(Complex a, Complex b) {
  return {fmaf(-a.i, b.i, a.r * b.r), fmaf(a.r, b.i, a.i * b.r)};
}
__device__ __forceinline__ float multiplyAdd(float a, float b, float c) { return fmaf(a, b, c); }
__device__ __forceinline__ Complex multiplyAdd(Complex a, Complex b, Complex c) {
  return {fmaf(-a.i, b.i, fmaf(a.r, b.r, c.r)), fmaf(a.r, b.i, fmaf(a.i, b.r, c.i))};
}
__device__ __forceinline__ float conjugate(float a) { return a; }
__device__ __forceinline__ Complex conjugate(Complex a) { return {a.r, -a.i}; }
__device__ __forceinline__ float realOfProduct(float a, float b, float c) { return fmaf(a, b, c); }
__device__ __forceinline__ float realOfProduct(Complex a, Complex b, float c) { return fmaf(-a.i, b.i, fmaf(a.r, b.r, c)); }
__device__ __forceinline__ float add(float a, float b) { return a + b; }
__device__ __forceinline__ Complex add(Complex a, Complex b) { return {a.r + b.r, a.i + b.i}; }
__device__ __forceinline__ void setZero(float &a) { a = 0.f; }
__device__ __forceinline__ void setZero(Complex &a) { a = {0.f, 0.f}; }
__device__ __forceinline__ float shuffleXor(float a, int mask) { return __shfl_xor_sync(0xffffffffu, a, mask); }
__device__ __forceinline__ Complex shuffleXor(Complex a, int mask) { return {shuffleXor(a.r, mask), shuffleXor(a.i, mask)}; }

// A is kept as A log2(e); of a complex one the imaginary part in turns, so that the angle is reduced exactly.
__device__ __forceinline__ float scaledA(float a) { return a * log2e; }
__device__ __forceinline__ Complex scaledA(Complex a) { return {a.r * log2e, a.i * 0.15915494309189535f}; }
__device__ __forceinline__ float decay(float dt, float a) { return exp2Fast(dt * a); }
__device__ __forceinline__ Complex decay(float dt, Complex a) {
  float turns = dt * a.i, sine, cosine;
  sincospif(2.f * (turns - rintf(turns)), &sine, &cosine);
  const float size = exp2Fast(dt * a.r);
  return {size * cosine, size * sine};
}
// Re(q conj(A)) / ln(2) + sum, from the scaled A.
__device__ __forceinline__ float alongA(float q, float a, float sum) { return fmaf(q, a, sum); }
__device__ __forceinline__ float alongA(Complex q, Complex a, float sum) {
  return fmaf(q.i * (twoPi / ln2), a.i, fmaf(q.r, a.r, sum));
}

struct TimeStep {
  float dt, slope; // slope = d dt / d (delta + bias)
};

// dt = log(1 + e^x), the identity above 20; for small e^x by its series, since 1 + e^x would lose its digits. Without
// branches of its own: what surrounds it is to be scheduled across it.
__device__ __forceinline__ TimeStep timeStep(float x, bool softplus) {
  const float e = exp2Fast(x * log2e), plus = 1.f + e;
  const float series = e * fmaf(-e, fmaf(-e, fmaf(-e, 0.25f, 0.33333333f), 0.5f), 1.f);
  const float log = log2Fast(plus) * ln2;
  const bool identity = !(x <= (softplus ? 20.f : __int_as_float(0x7fffffff))); // of a NaN too
  return {identity ? x : e < 0.0625f ? series : log, identity ? 1.f : e * reciprocalFast(plus)};
}

__device__ __forceinline__ float sigmoid(float x) { return reciprocalFast(1.f + exp2Fast(-x * log2e)); }

// Calls body with std::true_type or std::false_type: two loops without a branch instead of one with it.
template <typename Body> __device__ __forceinline__ void specialize(bool condition, Body body) {
  if (condition) body(std::true_type());
  else body(std::false_type());
}

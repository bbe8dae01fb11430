// Storage types (float32, bfloat16, float16) and their conversion to the float32 that everything is computed in.
#pragma once
#include <cstdint>

struct Bf16 {
  uint16_t bits;
};
struct Half {
  uint16_t bits;
};

// As in src/kernels/element-types.ts.
enum ElementType : int { typeFloat = 0, typeBf16 = 1, typeHalf = 2 };

__device__ __forceinline__ float toFloat(float x) { return x; }
__device__ __forceinline__ float toFloat(Bf16 x) { return __uint_as_float(static_cast<uint32_t>(x.bits) << 16); }
__device__ __forceinline__ float toFloat(Half x) {
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
  return y;
}

template <typename E> __device__ __forceinline__ E fromFloat(float x);
template <> __device__ __forceinline__ float fromFloat<float>(float x) { return x; }
template <> __device__ __forceinline__ Bf16 fromFloat<Bf16>(float x) {
  Bf16 y;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
}
template <> __device__ __forceinline__ Half fromFloat<Half>(float x) {
  Half y;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
}

// Two neighbours of 16 bits in one word.
__device__ __forceinline__ float2 pairToFloats(Bf16, uint32_t word) {
  return make_float2(__uint_as_float(word << 16), __uint_as_float(word & 0xffff0000u));
}
__device__ __forceinline__ float2 pairToFloats(Half, uint32_t word) {
  float2 y;
  asm("{ .reg .f16 lo, hi; mov.b32 {lo, hi}, %2; cvt.f32.f16 %0, lo; cvt.f32.f16 %1, hi; }" : "=f"(y.x), "=f"(y.y) : "r"(word));
  return y;
}
__device__ __forceinline__ uint32_t pairFromFloats(Bf16, float lo, float hi) {
  uint32_t word;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(hi), "f"(lo));
  return word;
}
__device__ __forceinline__ uint32_t pairFromFloats(Half, float lo, float hi) {
  uint32_t word;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(hi), "f"(lo));
  return word;
}

// An element of an array whose type is known at run time only.
__device__ __forceinline__ float loadAs(int type, const void *from, long long at) {
  if (type == typeFloat) return static_cast<const float *>(from)[at];
  if (type == typeBf16) return toFloat(static_cast<const Bf16 *>(from)[at]);
  return toFloat(static_cast<const Half *>(from)[at]);
}
__device__ __forceinline__ void storeAs(int type, void *to, long long at, float value) {
  if (type == typeFloat) static_cast<float *>(to)[at] = value;
  else if (type == typeBf16) static_cast<Bf16 *>(to)[at] = fromFloat<Bf16>(value);
  else static_cast<Half *>(to)[at] = fromFloat<Half>(value);
}

// 16 bytes that are read once: they do not displace what the multiprocessor's cache holds.
__device__ __forceinline__ uint4 loadStream(const void *from) {
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(from));
  return v;
}

// The same where `valid`, else zeros, without a branch.
__device__ __forceinline__ uint4 loadStreamIf(bool valid, const void *from) {
  uint4 v;
  asm volatile(
      "{ .reg .pred p; setp.ne.u32 p, %5, 0; mov.u32 %0, 0; mov.u32 %1, 0; mov.u32 %2, 0; mov.u32 %3, 0;\n"
      "@p ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4]; }"
      : "=&r"(v.x), "=&r"(v.y), "=&r"(v.z), "=&r"(v.w)
      : "l"(from), "r"(static_cast<uint32_t>(valid)));
  return v;
}
__device__ __forceinline__ uint4 loadIf(bool valid, const void *from) {
  uint4 v;
  asm volatile(
      "{ .reg .pred p; setp.ne.u32 p, %5, 0; mov.u32 %0, 0; mov.u32 %1, 0; mov.u32 %2, 0; mov.u32 %3, 0;\n"
      "@p ld.global.v4.u32 {%0, %1, %2, %3}, [%4]; }"
      : "=&r"(v.x), "=&r"(v.y), "=&r"(v.z), "=&r"(v.w)
      : "l"(from), "r"(static_cast<uint32_t>(valid)));
  return v;
}

// 16 bytes of storage E as floats: four float32 or eight of 16 bits.
template <typename E> struct Chunk {
  static constexpr int size = 8;
  static __device__ __forceinline__ void unpack(const uint4 &v, float *to) {
    const uint32_t words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const float2 pair = pairToFloats(E{}, words[i]);
      to[2 * i] = pair.x;
      to[2 * i + 1] = pair.y;
    }
  }
};
template <> struct Chunk<float> {
  static constexpr int size = 4;
  static __device__ __forceinline__ void unpack(const uint4 &v, float *to) {
    to[0] = __uint_as_float(v.x);
    to[1] = __uint_as_float(v.y);
    to[2] = __uint_as_float(v.z);
    to[3] = __uint_as_float(v.w);
  }
};

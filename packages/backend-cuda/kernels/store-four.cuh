#pragma once
#include "numbers.cuh"

// The first `count` of four neighbours of an array of `type`; `whole`: all four, and their place is a multiple of four elements.
__device__ __forceinline__ void storeFour(int type, void *out, long long at, const float (&v)[4], int count, bool whole) {
  if (!whole) {
#pragma unroll
    for (int l = 0; l < 4; l++)
      if (l < count) storeAs(type, out, at + l, v[l]);
  } else if (type == typeFloat) {
    *reinterpret_cast<float4 *>(static_cast<float *>(out) + at) = make_float4(v[0], v[1], v[2], v[3]);
  } else {
    const bool bf16 = type == typeBf16;
    *reinterpret_cast<uint2 *>(static_cast<uint16_t *>(out) + at) =
        make_uint2(bf16 ? pairFromFloats(Bf16{}, v[0], v[1]) : pairFromFloats(Half{}, v[0], v[1]), bf16 ? pairFromFloats(Bf16{}, v[2], v[3]) : pairFromFloats(Half{}, v[2], v[3]));
  }
}

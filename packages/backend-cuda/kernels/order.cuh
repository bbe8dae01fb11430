#pragma once
// Numbers as integers that grow as the order of argmax and sort does: the largest first, NaN before it, equals by position.

/// Grows with the value; NaN is largest, -0 equals 0.
__device__ inline unsigned orderOf(float value) {
  if (value != value) return 0xffffffffu;
  const unsigned bits = __float_as_uint(value == 0.0f ? 0.0f : value);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

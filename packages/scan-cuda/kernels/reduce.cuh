// Sums over rows in a fixed order: what chunks and parts left of a gradient. One launch serves up to eight arrays.
#pragma once
#include "numbers.cuh"

struct ReduceSegment {
  const float *from; // (rows, columns)
  void *to;          // (splits, columns): sums of `rowsPerSplit` rows each
  long long rows, columns, rowsPerSplit, bf16;
};

struct ReduceArguments {
  ReduceSegment segments[8];
};

// grid: (blocks of 128 columns, splits, segments)
__device__ __forceinline__ void reduceRows(const ReduceArguments &p) {
  const ReduceSegment &segment = p.segments[blockIdx.z];
  const long long first = blockIdx.y * segment.rowsPerSplit;
  if (first >= segment.rows) return;
  const long long last = min(first + segment.rowsPerSplit, segment.rows);
  for (long long column = blockIdx.x * 128ll + threadIdx.x; column < segment.columns; column += gridDim.x * 128ll) {
    float sum[4] = {};
    const float *at = segment.from + first * segment.columns + column;
    long long row = first;
    for (; row + 4 <= last; row += 4) {
#pragma unroll
      for (int i = 0; i < 4; i++) sum[i] += at[i * segment.columns];
      at += 4 * segment.columns;
    }
    for (; row < last; row++, at += segment.columns) sum[0] += *at;
    const float total = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    const long long to = blockIdx.y * segment.columns + column;
    if (segment.bf16) static_cast<Bf16 *>(segment.to)[to] = fromFloat<Bf16>(total);
    else static_cast<float *>(segment.to)[to] = total;
  }
}

// Sums over rows in a fixed order: what chunks and parts left of a gradient. One launch serves up to eight arrays.
#pragma once
#include "numbers.cuh"

struct ReduceSegment {
  const float *from; // (rows, columns)
  void *to;          // (splits, columns): sums of `rowsPerSplit` rows each
  long long rows, columns, rowsPerSplit, bf16;
  long long firstBlock, blocks; // blocks of the grid that serve it: `blocks` of 128 columns for each split
};

struct ReduceArguments {
  ReduceSegment segments[8];
};

__device__ __forceinline__ void reduceRows(const ReduceArguments &p) {
  int which = 0;
  while (which < 7 && p.segments[which + 1].blocks > 0 && blockIdx.x >= p.segments[which + 1].firstBlock) which++;
  const ReduceSegment &segment = p.segments[which];
  const long long block = blockIdx.x - segment.firstBlock, split = block / segment.blocks;
  const long long first = split * segment.rowsPerSplit, last = min(first + segment.rowsPerSplit, segment.rows);
  for (long long column = block % segment.blocks * 128 + threadIdx.x; column < segment.columns; column += segment.blocks * 128) {
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
    const long long to = split * segment.columns + column;
    if (segment.bf16) static_cast<Bf16 *>(segment.to)[to] = fromFloat<Bf16>(total);
    else static_cast<float *>(segment.to)[to] = total;
  }
}

// The argument block of every scan kernel. Each field takes 8 bytes, in the order of `scanArgumentFields` in
// src/arguments.ts; absent arrays are null.
#pragma once

struct ScanArguments {
  const void *u, *delta;
  const float *A;
  const void *B, *C; // E where variable, float where constant
  const float *D;
  const void *z;
  const float *deltaBias, *initialState;
  const int *resets;
  void *y;
  float *lastState;   // the step kernel updates it in place
  float *checkpoints; // (batch, chunks, channels, dState): state before each chunk
  const void *gradY;
  const float *gradLastState;
  float *adjoints; // as checkpoints: conj(a) s of the step after each chunk; backward leaves its parts of dA there
  void *gradU, *gradDelta, *gradZ, *gradB, *gradC;
  float *gradInitialState;
  float *partsB, *partsC;       // variable: (parts, batch, length, groups, dState); constant: (batch, chunks, channels, dState)
  float *partsD, *partsBias;    // (batch, chunks, channels)
  float *starts, *decays;       // (batch, segments, channels, dState)
  long long batch, length, channels, dState, groups, flags, chunkLog2, chunks, parts, tilesPerPart, segments, segmentSteps;
};

constexpr long long flagSoftplus = 1, flagVariableB = 2, flagVariableC = 4;

// Made by scripts/build-kernels.mjs: SHA-256 of the files in kernels/ that the PTX was made from.
export const sourcesHash: string =
  'a5cca7d305a54bc53619aff4756c55e8dd958e8ee983b95146ecbe19a9d058ab';

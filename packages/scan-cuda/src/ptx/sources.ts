// Made by scripts/build-kernels.mjs: SHA-256 of the files in kernels/ that the PTX was made from.
export const sourcesHash: string =
  'cf452c9e20ac3efa953ed939f11ddca2442ca4e32b284b076e5a4fbfe1a845b9';

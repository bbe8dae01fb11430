// Made by scripts/build-kernels.mjs: SHA-256 of the files in kernels/ that the PTX was made from.
export const sourcesHash: string =
  'c137ba06da62d9c190e7c50cb68d529cb1370692c601cf2cd7e0c0e17b77bd25';

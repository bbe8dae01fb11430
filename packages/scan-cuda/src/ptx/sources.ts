// Made by scripts/build-kernels.mjs: SHA-256 of the files in kernels/ that the PTX was made from.
export const sourcesHash: string =
  '52f87312ff82bb4d47228cef36d5051133b891f7c8f473fe30d2a51cb185abef';

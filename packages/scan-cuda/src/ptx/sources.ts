// Made by scripts/build-kernels.mjs: SHA-256 of the files in kernels/ that the PTX was made from.
export const sourcesHash: string =
  '4f3daf6fe66d1823b73746395125accd1b9fe2e10aade178bf3a558cb4299c3f';

// Made by scripts/build-kernels.mjs: SHA-256 of the files in kernels/ that the PTX was made from.
export const sourcesHash: string =
  'b5903fa753ef18794c590f40eb47170b4538fbbf9497c876b24f52d6da1621dc';

// Made by scripts/build-kernels.mjs: SHA-256 of the files in kernels/ that the PTX was made from.
export const sourcesHash: string =
  'aa0ecb198e61c8e149f483ef8d5dde321b8d73d26459fbf0081b555adc2fc169';

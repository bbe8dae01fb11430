// Made by scripts/build-kernels.mjs: SHA-256 of the files in kernels/ that the PTX was made from.
export const sourcesHash: string =
  'bb2ccefa7607a2c8882d0b237ea2a95e2987eb3c66ba865e3572f307debf6041';

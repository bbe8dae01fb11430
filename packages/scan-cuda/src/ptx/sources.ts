// Made by scripts/build-kernels.mjs: SHA-256 of the files in kernels/ that the PTX was made from.
export const sourcesHash: string =
  '5afe4e90b05ef37d67e9b9b42fcecb08e7e12cfc8678c8c1e40ad1e27fd1267b';

// Every kernel: name(params: usize, tid: i32, threads: i32): void. All threads call it with the same parameter struct
// (32-bit fields, written by src/cpu/routines/) and each does its part.
export { matmul } from './matmul/matmul';
export { matmulDots } from './matmul/dots';
export { matmulCombine } from './matmul/combine';
export { causalConv1d } from './conv/causal-conv1d';
export { causalConv1dBackward, causalConv1dReduce } from './conv/causal-conv1d-backward';
export { longConvDirect, longConvDirectKernel } from './long-conv/direct';
export { longConvTwiddles, longConvTransformed, longConvTransformedKernel } from './long-conv/transformed';
export { gather } from './rows/gather';
export { scatterAdd } from './rows/scatter-add';
export { crossEntropy } from './rows/cross-entropy';
export { argmax } from './rows/argmax';
export { sort } from './rows/sort';
export { cumsum } from './rows/cumsum';

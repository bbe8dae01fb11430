/**
 * Files of `torch.save` (`pytorch_model.bin`): state dicts read tensor by tensor without ever executing anything of
 * them, and written as a stream. Depends on nothing.
 */
export { TorchFileError, type TorchFileErrorCode } from './error';
export type { TorchFileLimits } from './limits';
export { openTorchFile } from './reader';
export { openShardedTorchFiles } from './sharded';
export { streamTorchFile } from './writer';

/**
 * Safetensors files: read whole or on demand, single or sharded; written whole or as a stream. Depends on nothing.
 */
export { type SafetensorsDtype, bytesPerElement, isSafetensorsDtype, safetensorsDtypes } from './dtype';
export { equalBytes } from './equal-bytes';
export { SafetensorsError, type SafetensorsErrorCode } from './error';
export { readSafetensors, type SafetensorsFile, type SafetensorsTensor } from './file';
export type { SafetensorsLimits, TensorEntry } from './header';
export {
  elementsOf,
  type FloatDtype,
  type SafetensorsArray,
  tensorFromFloats,
  tensorFromIntegers,
  toFloat32,
  toFloat64,
  toInt32,
} from './numbers';
export { openSafetensors, type SafetensorsReader } from './reader';
export { parseShardIndex, type ShardIndex } from './shard-index';
export { openOrClose, openSafetensorsFolder, openShardedSafetensors } from './sharded';
export {
  blobSource,
  bytesSource,
  fileHandleSource,
  fileSource,
  type RandomAccessSource,
  type ReadableFileHandle,
} from './source';
export { type DeferredTensor, type SafetensorsMetadata, streamSafetensors, writeSafetensors } from './writer';

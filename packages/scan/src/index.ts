export {
  type FloatArray,
  type ScanArgument,
  type ScanGradients,
  type ScanInputs,
  type ScanOptions,
  type ScanOutput,
  type ScanOutputGradients,
  type ScanShape,
  scanArguments,
  scanDimensions,
  scanSize,
  stateWidth,
} from './types';
export {
  type ScanArgumentShapes,
  ScanShapeError,
  checkOutputGradients,
  checkScanInputs,
  checkScanShape,
  maxStates,
  scanShapeOf,
} from './validation';
export { selectiveScanReference, selectiveStateUpdateReference } from './reference';
export { selectiveScanBackwardReference } from './reference-backward';
export {
  type ScanExportName,
  type ScanKernelExports,
  type ScanKernelFunction,
  type ScanVariant,
  compileScanModule,
  detectScanVariant,
  instantiateScanKernels,
  scanMemoryBase,
  scanMemoryEnd,
  scanModuleBytes,
  withMemoryKind,
} from './wasm';
export {
  type ScanCall,
  type ScanKernel,
  type ScanPointers,
  scanExports,
  scanParamsBytes,
  scanScratchBytes,
  scanTileStatesBytes,
  writeScanParams,
} from './wasm-params';
export { ScanMemoryError, ScanRuntime, type ScanRuntimeOptions } from './runtime';
export {
  type StandaloneOptions,
  releaseScanMemory,
  selectiveScan,
  selectiveScanBackward,
  selectiveStateUpdate,
} from './standalone';

// For benchmark programs: the shapes and the way in which this package's times were taken.
export { type BenchRow, type Timing, benchScan, benchShape, benchSizes } from './self-check/bench';
export { dawnGpu } from './self-check/dawn';
export { type OpenedDevice, openDevice } from './self-check/open';

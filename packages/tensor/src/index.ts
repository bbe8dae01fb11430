export { Tensor, type Operand } from './tensor';
export { assignAll, Variable, variable } from './variable';
export { Complex } from './complex';
export { RandomGenerator } from './random';
export { Device, getDefaultDevice, type MemoryUse, setDefaultDevice } from './device';
export { type CreateOptions, arange, full, indices, type Nested, ones, tensor, zeros } from './functions/create';
export { gelu, logSoftmax, relu, silu, softmax, where } from './functions/elementwise';
export { concat, split, stack } from './functions/join';
export {
  argmax, causalConv1d, crossEntropy, cumsum, gather, longConv, matmul, type ScanArguments, scatterAdd, selectiveScan, sort, stateUpdate,
} from './functions/routines';
export { checkpoint, customGradient, grad, vjp } from './autograd/grad';
export { type CompiledStep, compile } from './compile/compile';
export { Turn } from './turn';
export type { ProgramReport, StepReport } from './compile/explain';
export type { StepResult } from './compile/step-result';
export { scope } from './scope';
export { reportLeaks } from './leaks';
export { realize } from './realize-tensors';
export { type Node, nodesCreated } from './graph/node';
export { cpu, type CpuOptions } from './cpu';
export { reference } from './reference/backend';
export { byteSize, type ComputeType, type DType, type HostArray, isDType, isFloat } from './dtype';
export { fromBFloat16, fromFloat16, toBFloat16, toFloat16 } from './half';
export { broadcastShapes, formatShape, sameShape, type Shape, sizeOf } from './shape';
export { DeviceError, DeviceLostError, DisposedError, DTypeError, GradientError, OutOfRangeError, ShapeError, TensorError } from './errors';
// For backend authors.
export { faultError, faultKinds } from './cpu/fault';
export { readValues, writeValues } from './cpu/transfer';
export type { Backend, DeviceBuffer, Executable, Recording, StepDescription } from './backend';
export { type Access, type BinaryOp, type Guard, type Instruction, type Kernel, type Reduce, type ReduceOp, type Store, touchedBytes, type UnaryOp } from './compile/kernel';
export type { Epilogue, KernelStep, Program, RoutineCall, RoutineStep, Slot, Step, TensorSpec, View } from './compile/program';
export { binaryOps, unaryOps } from './graph/primitives';
export { type HalfInputs, halfInputPositions, type RoutineName, routineNames, type ViewInputs, viewInputPositions } from './graph/routines';

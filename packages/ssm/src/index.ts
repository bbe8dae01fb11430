export type { LayerState, Selection, SequenceLayer, SequenceOptions, StepOptions } from './sequence-layer';
export { nestedState, nestState } from './nested-state';
export { S6, type S6Config, type S6Init, s6Inits, type S6State, TimeStepProjection } from './s6';
export { SSD, type SSDConfig, type SSDState } from './ssd';
export { chunkedSsd, type SsdOperands } from './ssd-chunks';
export { S4, type S4Config, S4Kernel, type S4State } from './s4';
export { S4D, type S4DConfig, S4DKernel, type S4DState } from './s4d';
export { H3Kernel, H3SSM, type H3SSMConfig } from './h3-ssm';
export { ShiftKernel, ShiftSSM, type ShiftSSMConfig, type ShiftSSMState } from './shift-ssm';
export { Hyena, type HyenaConfig, type HyenaState } from './hyena';
export { HyenaConvolution, type HyenaConvolutionConfig, type HyenaConvolutionState } from './hyena-convolution';
export { hyenaDecays, HyenaFilter, type HyenaFilterConfig, hyenaPositions, hyenaWindow } from './hyena-filter';
export { type Modes, type S4DInit, s4dInits, s4dModes } from './s4d-init';
export { type Discretization, discretizations, discretize, type DiscretePoles } from './discretization';
export {
  type DiscreteDplr,
  discretizeDplr,
  type DplrSystem,
  generatingFunction,
  realChange,
  realRow,
  realVector,
} from './dplr';
export { DenseRecurrence } from './dense-recurrence';
export { inverseRealDft } from './inverse-dft';
export { packedConv } from './packed-convolution';
export { twoSidedConv } from './two-sided-convolution';
export { DiagonalSSM, type DiagonalState, type DiscreteDiagonal } from './diagonal-ssm';
export { Vandermonde } from './vandermonde';
export { type Hippo, hippoLegS, type HippoModes, hippoLegSModes } from './hippo';
export { type ComplexMatrix, type HermitianEigen, hermitianEigen } from './hermitian-eigen';
export { inverseSoftplus, logTimeSteps, type TimeStepRange } from './time-step-init';
export type { ChannelSsmConfig } from './channel-ssm-config';
// For layer authors.
export { checkChoice, checkKeys, checkPositive, checkSize } from './check-config';
export { checkInput, checkStep } from './sequence-layer-checks';

export type { LayerState, Selection, SequenceLayer, SequenceOptions } from './sequence-layer';
export { nestedState, nestState } from './nested-state';
export { S6, type S6Config, type S6Init, s6Inits, type S6State, TimeStepProjection } from './s6';
export { SSD, type SSDConfig, type SSDState } from './ssd';
export { chunkedSsd, type SsdOperands } from './ssd-chunks';
export { S4D, type S4DConfig, S4DKernel, type S4DState } from './s4d';
export { type Modes, type S4DInit, s4dInits, s4dModes } from './s4d-init';
export { type Discretization, discretizations, discretize, type DiscretePoles } from './discretization';
export { Vandermonde } from './vandermonde';
export { type Hippo, hippoLegS, type HippoModes, hippoLegSModes } from './hippo';
export { type ComplexMatrix, type HermitianEigen, hermitianEigen } from './hermitian-eigen';
export { inverseSoftplus, logTimeSteps, type TimeStepRange } from './time-step-init';
// For layer authors.
export { checkChoice, checkKeys, checkPositive, checkSize } from './check-config';
export { checkInput, checkStep } from './sequence-layer-checks';

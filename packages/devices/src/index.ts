export type { Device } from '@mamba-ts/tensor';

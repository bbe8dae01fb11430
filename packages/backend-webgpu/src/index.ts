export { webgpu, type WebGpuOptions } from './open';
export { WebGpuBackend } from './backend';

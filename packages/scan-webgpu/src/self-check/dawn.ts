// WebGPU in Node, for checks: Dawn, from the package `webgpu`.

/** Dawn lives as long as this object is referenced. */
let dawn: GPU | undefined;

export async function dawnGpu(): Promise<GPU> {
  const { create } = await import('webgpu');
  dawn ??= create([]) as GPU;
  return dawn;
}

import { it } from 'vitest';
import { openDevice } from './device/gpu';
import { planScan } from '@mamba-ts/scan-webgpu';
it('x', async () => {
  const d = await openDevice();
  const base = { batch: 2, length: 37, channels: 8, groups: 1, variableB: true, variableC: true } as const;
  for (const complex of [false, true]) for (const dState of [4, 16]) for (const operation of ['forward', 'backward'] as const) {
    const o = { operation, lastState: true, D: true, z: true, deltaBias: true, deltaSoftplus: true, resets: true, initialState: true, tiling: { channelBlock: 8, tile: 2, reduceSteps: 2 } };
    const plan = planScan(d, { ...base, complex, dState }, o);
    for (const k of plan.kernels) {
      const t1 = performance.now();
      const module = d.createShaderModule({ code: k.code });
      const info = await module.getCompilationInfo();
      for (const m of info.messages) console.log(m.type, m.lineNum, m.message, k.code.split('\n')[m.lineNum - 1]);
      const t2 = performance.now();
      try { await d.createComputePipelineAsync({ layout: 'auto', compute: { module } }); } catch (e) { console.log(String((e as Error).message)); }
      const t3 = performance.now();
      console.log(complex, dState, k.label, k.code.length, k.buffers.length, (t2 - t1).toFixed(0), (t3 - t2).toFixed(0));
    }
  }
}, 200000);

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { cpu, type Device, reportLeaks, scope, tensor } from '@mamba-ts/tensor';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('reportLeaks', () => {
  it('names what was dropped, and only that', async () => {
    const messages: string[] = [];
    const device = await cpu({ threads: 1 });
    reportLeaks((m) => messages.push(m));
    const work = (d: Device): void => {
      tensor([1, 2, 3], { device: d }); // dropped
      const kept = tensor([1, 2], { device: d });
      kept.dispose();
      scope(() => tensor([[1], [2]], { device: d }).exp().realize().sum().item());
    };
    expect(() => work(device)).toThrow(/scopes are synchronous/);
    await settle();
    reportLeaks(null);
    device.dispose();
    expect(messages).toEqual(['leak: a float32 tensor of shape (3) on cpu (12 bytes) was dropped without dispose()']);
  });
});

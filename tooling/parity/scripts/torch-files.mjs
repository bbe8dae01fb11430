// Proves that PyTorch reads the `pytorch_model.bin` that savePretrained writes, and that fromPretrained reads PyTorch's own,
// bit for bit. Needs python3 with torch, and the built packages:   node tooling/parity/scripts/torch-files.mjs
import { execFileSync } from 'node:child_process';
import { mkdtempSync, mkdirSync, rmSync, copyFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromPretrained, LanguageModel, savePretrained } from '@mamba-ts/models';
import { cpu, RandomGenerator } from '@mamba-ts/tensor';

const python = `
import sys, torch
print('torch', torch.__version__)
for mmap in (False, True):
    state = torch.load(sys.argv[1], weights_only=True, mmap=mmap)
    print(f'torch.load(weights_only=True, mmap={mmap}): {len(state)} tensors, {sum(t.numel() for t in state.values())} values,', sorted({str(t.dtype) for t in state.values()}))
torch.save(state, sys.argv[2])
`;

const bits = (value) => Buffer.from(value.buffer, value.byteOffset, value.byteLength);
const folder = mkdtempSync(join(tmpdir(), 'torch-files-'));
const device = await cpu();
try {
  const kinds = {
    mamba: { block: 'mamba', layer: 's6', vocabSize: 1000, dModel: 64, nLayer: 3 },
    mamba2: { block: 'mamba2', layer: { kind: 'ssd', headDim: 16, dState: 32 }, vocabSize: 1000, dModel: 64, nLayer: 3 },
    'mamba untied': { block: 'mamba', layer: 's6', vocabSize: 77, dModel: 32, nLayer: 2, tieEmbeddings: false },
  };
  for (const [name, config] of Object.entries(kinds)) {
    const ours = join(folder, name, 'ours');
    const theirs = join(folder, name, 'theirs');
    mkdirSync(theirs, { recursive: true });
    const model = new LanguageModel(config, new RandomGenerator(1, device));
    for (const [part, { dtype }] of Object.entries({ float32: {}, bfloat16: { dtype: 'bfloat16' } })) {
      await savePretrained(model, `${ours}-${part}`, { layout: 'official' });
      const written = dtype === undefined ? model : (await fromPretrained(`${ours}-${part}`, { device, dtype })).model;
      if (dtype !== undefined) await savePretrained(written, `${ours}-${part}-stored`, { layout: 'official' });
      const source = dtype === undefined ? `${ours}-${part}` : `${ours}-${part}-stored`;
      console.log(execFileSync('python3', ['-c', python, join(source, 'pytorch_model.bin'), join(theirs, 'pytorch_model.bin')], { encoding: 'utf8' }).trim());
      copyFileSync(join(source, 'config.json'), join(theirs, 'config.json'));
      const { model: back } = await fromPretrained(theirs, { device, ...(dtype && { dtype }) });
      const kept = [...back.stateDict()];
      const before = written.stateDict();
      const changed = kept.filter(([key, v]) => !bits(v.dataSync()).equals(bits(before.get(key).dataSync()))).map(([key]) => key);
      if (changed.length > 0 || kept.length !== [...before].length) throw new Error(`${name} ${part}: changed ${changed.join(', ')}`);
      console.log(`${name}, ${part}: ${kept.length} tensors written by savePretrained, loaded and saved again by torch, read by fromPretrained: equal bit for bit`);
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { scanCases } from '@mamba-ts/scan/conformance';
import { planScan } from '@mamba-ts/scan-cuda';
import { reduceSegmentFields, scanArgumentFields } from '../src/arguments';
import { kernelImage } from '../src/kernel-images';
import { type Layout, layouts, layoutsOf } from '../src/layout';

const path = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url));

async function entriesOf(module: Layout['module']): Promise<Set<string>> {
  const ptx = new TextDecoder().decode(await kernelImage(module));
  expect(ptx).toContain('.target sm_80');
  return new Set([...ptx.matchAll(/\.entry (\w+)\(/g)].map((match) => match[1]));
}

/** Field names of a C struct, in order. */
function fieldsOf(file: string, struct: string): string[] {
  const text = readFileSync(path(`kernels/${file}`), 'utf8').replace(/\/\/.*$/gm, '');
  const body = text.slice(text.indexOf(`struct ${struct} {`)).match(/\{([^}]*)\}/)![1];
  return body.split(';').flatMap((line) => line.split(',').map((part) => part.trim().match(/(\w+)$/)?.[1] ?? '')).filter(Boolean);
}

describe('compiled kernels', () => {
  it('were made from the sources in kernels/', () => {
    expect(() => execFileSync(process.execPath, [path('scripts/build-kernels.mjs'), '--check'], { stdio: 'pipe' })).not.toThrow();
  });

  it('have every kernel that a plan may name', async () => {
    const entries = { real16: await entriesOf('real16'), real: await entriesOf('real'), general: await entriesOf('general'), chain: await entriesOf('chain') };
    const kindsOf: Record<Layout['kernels'], readonly string[]> = {
      whole: ['forward', 'ends', 'adjoint', 'adjoint_ends'],
      'split and backward': ['forward_split', 'adjoint_split', 'backward'],
      backward: ['backward'],
      'forward chain': ['forward_chain'],
      'backward chain': ['backward_chain'],
    };
    for (const layout of layouts) {
      for (const kind of kindsOf[layout.kernels]) {
        for (const dtype of ['f32', 'bf16']) expect(entries[layout.module]).toContain(`${kind}_${dtype}_${layout.name}`);
      }
    }
    for (const { shape } of scanCases) {
      for (const pass of ['forward', 'backward'] as const) {
        for (const { module, name } of planScan(shape, { pass }).kernels) expect(entries[module]).toContain(name);
      }
    }
    for (const name of ['reduce_rows', 'step_f32_real', 'step_f32_complex', 'step_bf16_real', 'step_bf16_complex']) {
      expect(entries.general).toContain(name);
    }
    expect([...entries.real16].filter((name) => name.startsWith('combine_')).sort()).toEqual(['combine_adjoint', 'combine_forward']);
  });

  it('take the arguments that TypeScript writes', () => {
    expect(fieldsOf('arguments.cuh', 'ScanArguments')).toEqual([...scanArgumentFields]);
    expect(fieldsOf('reduce.cuh', 'ReduceSegment')).toEqual([...reduceSegmentFields]);
  });

  it('leave no shape of the contract without a layout', () => {
    for (const { name, shape } of scanCases) {
      expect(layoutsOf(shape, 'split and backward').length, name).toBeGreaterThan(0);
      expect(layoutsOf(shape, 'backward').length, name).toBeGreaterThan(0);
    }
  });
});

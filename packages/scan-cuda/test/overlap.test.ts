import { expect, it } from 'vitest';
import { overlapping, overlaps } from '../src/driver/overlap';
import { kernelImage } from '../src/kernel-images';

const wait = 'griddepcontrol.wait;';

it('every kernel of a module waits once, before its first instruction', async () => {
  const text = new TextDecoder().decode(await kernelImage('general'));
  const early = overlapping(text) as string;
  const kernels = early.split(/(?=^[^\n/]*\.entry\b)/m).slice(1);
  expect(kernels.length).toBe(text.match(/\.entry\b/g)?.length);
  for (const kernel of kernels) expect(kernel.split(wait).length, kernel.slice(0, 80)).toBe(2);
  expect(kernels[0].slice(kernels[0].indexOf('{') + 1).trimStart().startsWith(`griddepcontrol.launch_dependents;\n\t${wait}`)).toBe(true);
  expect(early).toContain('.target sm_90');
});

it('a kernel with a marker waits there', () => {
  const kernel = '.visible .entry a()\n{\n\tprefetch.global.L2 [%rd1];\n\t// overlap: await earlier kernels\n\tret;\n}\n';
  const early = overlapping(`.version 8.0\n.target sm_80\n.address_size 64\n${kernel}.visible .entry b()\n{\n\tret;\n}\n`) as string;
  expect(early.indexOf('prefetch')).toBeLessThan(early.indexOf(wait));
  expect(early.match(/griddepcontrol\.wait/g)?.length).toBe(2);
});

it('raises the version, and leaves alone what is no PTX', () => {
  expect(overlapping('.version 7.0\n.target sm_80\n.entry a() { ret; }')).toMatch(/^\.version 7\.8\n\.target sm_90\n/);
  // What only one architecture has stays that architecture's.
  expect(overlapping('.version 9.0\n.target sm_90a\n.entry a() { ret; }')).toMatch(/^\.version 9\.0\n\.target sm_90a\n.*\{\s+griddepcontrol/);
  expect(overlapping('\u007fELF')).toBeNull();
  expect(overlaps([8, 0], 13000)).toBe(false);
  expect(overlaps([9, 0], 12000)).toBe(false);
  expect(overlaps([9, 0], 13000)).toBe(true);
});

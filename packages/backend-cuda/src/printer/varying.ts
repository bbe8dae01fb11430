import type { Instruction, Kernel } from '@mamba-ts/tensor';
import { dependsOn } from './addressing';

/** Which values of the kernel's body change along these loops? */
export function varyingValues(kernel: Kernel, loops: readonly number[]): boolean[] {
  const varies: boolean[] = [];
  kernel.body.forEach((x: Instruction, i) => {
    if (x.op === 'load') {
      const access = kernel.loads[x.load];
      varies[i] = dependsOn(access, loops) || access.guards.some((g) => dependsOn(g, loops));
    } else if (x.op === 'index') varies[i] = dependsOn(x, loops);
    else varies[i] = 'args' in x && x.args.some((a) => varies[a]);
  });
  // What a store of the body writes is computed with it, in the loop.
  return varies;
}

import { reference } from '@mamba-ts/tensor';
import { cudaRoutines } from '../routines';
import { matmulBy } from '../routines/matmul';
import { routineCases } from './routine-cases';
import { relativeError, RoutineRunner, runOn, valuesOf } from './routine-runs';

/**
 * Every routine by itself on the card against the float64 reference, on sizes that meet every kernel and edge: errors, writes outside the arrays,
 * and whether a second run gives the same bits. Matmul goes both ways, by cuBLASLt where it is there and by the package's own kernels. Only routines
 * whose name contains `filter`.
 *
 * @returns complaints; none if all is well
 */
export async function checkRoutines(log: (line: string) => void, filter = ''): Promise<string[]> {
  const runner = await RoutineRunner.open();
  const oracle = await reference();
  const complaints: string[] = [];
  const ways = { ...cudaRoutines, ownMatmul: matmulBy({ kernels: 'own' }) };
  for (const routine of Object.values(ways)) await routine.open?.(runner.host);
  const worst = new Map<string, number>();
  let count = 0;
  for (const [i, c] of routineCases.entries()) {
    if (!c.call.name.includes(filter)) continue;
    const inputs = valuesOf(c, i + 1);
    const expected = await runOn(oracle.backend, c.call, inputs);
    const routines = c.call.name === 'matmul' ? ([ways.matmul, ways.ownMatmul] as const) : [ways[c.call.name]];
    for (const routine of routines) {
      if (!routine) continue;
      count++;
      const shapes = c.call.inputs.map((x) => (x ? `${x.dtype}(${x.shape.join(',')})` : '-')).join(' ');
      let label = `${c.call.name} ${shapes} ${JSON.stringify(c.call.attributes)}`;
      try {
        const bound = runner.bind(routine, c.call, inputs);
        label += ` [${bound.prepared.describe()}]`;
        bound.launch();
        const first = c.call.outputs.map((_, o) => bound.read(o));
        bound.launch();
        for (const [o, values] of expected.entries()) {
          const error = relativeError(first[o], values);
          // Products by kernel: each has its own way to be wrong.
          const by = c.call.name === 'matmul' ? `matmul, ${bound.prepared.describe().split(',')[0].replace(/ \d.*/, '')}` : c.call.name;
          worst.set(by, Math.max(worst.get(by) ?? 0, error));
          if (!(error <= c.tolerance)) complaints.push(`${label}: output ${o} is off by ${error.toExponential(2)}, allowed ${c.tolerance}`);
          const again = bound.read(o);
          if (first[o].some((x, at) => !Object.is(x, again[at]))) complaints.push(`${label}: output ${o} differs from run to run`);
        }
        for (const text of bound.broken()) complaints.push(`${label}: ${text}`);
        bound.free();
      } catch (error) {
        complaints.push(`${label}: ${(error as Error).message}`);
        if ((error as Error).message.includes('ILLEGAL')) throw new Error(complaints.join('\n'), { cause: error });
      }
    }
  }
  for (const [name, error] of worst) log(`${name}: worst relative error ${error.toExponential(2)}`);
  log(`${count} calls of routines checked, ${complaints.length} complaints`);
  oracle.dispose();
  runner.close();
  return complaints;
}

// Sums over the lanes of a channel: y[t] of every lane becomes yTotal[i] of the lane that owns step t = first + i.
import { type KernelOptions, each } from './module';

/** Declarations that {@link sumOverLanes} needs for these values, in workgroup memory. */
export function sumsMemory({ lanes, workgroup, steps, exchange }: KernelOptions, names: readonly string[]): string[] {
  if (lanes === 1 || exchange === 'subgroups') return [];
  return names.map((name) => `var<workgroup> ${name}Sums: array<array<f32, ${workgroup}>, ${steps}>;`);
}

/** Declarations for the values of a lane. */
export function sumsVariables(options: KernelOptions, names: readonly string[]): string {
  const { lanes, steps, exchange } = options;
  const inMemory = lanes > 1 && exchange === 'memory';
  return names.map((name) => (inMemory ? '' : `var ${name}: array<f32, ${steps}>;`)).join('\n');
}

/** Leaves value `name` of step t for the sums. */
export function leaveForSum({ lanes, exchange }: KernelOptions, name: string, t: string, value: string): string {
  const inMemory = lanes > 1 && exchange === 'memory';
  return inMemory ? `${name}Sums[${t}][lane] = ${value};` : `${name}[${t}] = ${value};`;
}

/**
 * Leaves `${name}Total`, the sums of the own steps of a lane; those in workgroup memory are read behind a barrier. The lanes
 * of a channel lie `apart` lanes from each other.
 */
export function sumOverLanes(options: KernelOptions, names: readonly string[], apart = 1): string {
  const { lanes: K, steps: T, exchange, unrolled } = options;
  const own = Math.max(1, T / K);
  const lines = names.map((name) => {
    const declare = `var ${name}Total: array<f32, ${own}>;`;
    if (K === 1) return `${declare} ${name}Total = ${name};`;
    if (exchange === 'memory') {
      const parts = Array.from({ length: K }, (_, j) => `${name}Sums[first + ${'I'}][c * ${K} + ${j}]`).join(' + ');
      return `${declare}\n${each(options, 'i', own, (i) => `${name}Total[${i}] = ${parts.replaceAll('I', i)};`)}`;
    }
    if (!unrolled) {
      const exchanges: string[] = [];
      for (let mask = K / 2; mask >= 1; mask /= 2)
        exchanges.push(`${name}[t] += subgroupShuffleXor(${name}[t], ${mask * apart});`);
      const all = each(options, 't', T, (t) => exchanges.join(' ').replaceAll('[t]', `[${t}]`));
      return `${declare}\n${all}\n${each(options, 'i', own, (i) => `${name}Total[${i}] = ${name}[first + ${i}];`)}`;
    }
    return `${declare}\n${halvingSums(name, K, T, own, apart)}`;
  });
  return lines.join('\n');
}

/** Each exchange halves what a lane still has to sum, until one step is left; then all lanes of it have the sum. */
function halvingSums(name: string, K: number, T: number, own: number, apart: number): string {
  const lines: string[] = [];
  let values = Array.from({ length: T }, (_, t) => `${name}[${t}]`);
  for (let mask = K / 2; mask >= 1; mask /= 2) {
    const before = values;
    const half = Math.floor(before.length / 2);
    values = Array.from({ length: Math.max(1, half) }, (_, i) => `${name}Over${mask}_${i}`);
    values.forEach((value, i) => {
      const [low, high] = [before[i], before[i + half]];
      lines.push(
        half === 0
          ? `let ${value} = ${low} + subgroupShuffleXor(${low}, ${mask * apart});`
          : `let ${value} = select(${low}, ${high}, (k & ${mask}) != 0) + subgroupShuffleXor(select(${high}, ${low}, (k & ${mask}) != 0), ${mask * apart});`,
      );
    });
  }
  for (let i = 0; i < own; i++) lines.push(`${name}Total[${i}] = ${values[i]};`);
  return lines.join('\n');
}

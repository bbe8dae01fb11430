// How the gradient kernel sums over the lanes of a channel (for du, d delta, dz) and over channels (for dB, dC).
import { rowIndex } from './job';
import { type Variant, repeat, when, workgroupSize, width } from './variant';

export interface Reduction {
  readonly declarations: string;
  /** Steps between two finishes. */
  readonly steps: number;
  /** Before a tile's steps. */
  readonly tileStart: string;
  /** After step t of a tile: takes over its sums, and partB and partC, States of this lane. */
  step(t: number, sums: { readonly sumB: string; readonly sumA: string; readonly y: string }): string;
  /** After steps t0 … t0 + steps - 1, in uniform control flow. */
  finish(t0: number): string;
  /** Sums a variable over the lanes of a channel; right in lane 0. */
  overLanes(name: string): string;
}

interface GradientKind {
  readonly variableB: boolean;
  readonly variableC: boolean;
  readonly z: boolean;
  readonly resets: boolean;
}

/**
 * Workgroup memory of the gradient kernel: (dt, u, g, slope of dt), B and C of a tile, and what is summed every
 * `reduceSteps` steps: 2 or 3 numbers per step and lane over the lanes, a State or two over the channels.
 */
export function gradientWorkgroupBytes(
  tiling: { lanes: number; channelBlock: number; tile: number; reduceSteps: number; subgroup: number },
  bytesPerState: number,
  kind: GradientKind,
): number {
  const { lanes, channelBlock, tile, reduceSteps } = tiling;
  const coefficients = Number(kind.variableB) + Number(kind.variableC);
  const staged = tile * (16 * channelBlock + coefficients * lanes * bytesPerState + (kind.resets ? 4 : 0));
  if (tiling.subgroup > 0) {
    const values = subgroupValues(tiling, coefficients * (bytesPerState / 4));
    return staged + tile * lanes * channelBlock * 4 * values;
  }
  const overLanes = reduceSteps * (kind.z ? 3 : 2) * 4 * lanes * channelBlock;
  const overChannels = reduceSteps * coefficients * bytesPerState * lanes * (channelBlock + 1);
  return staged + overLanes + overChannels;
}


/** Sums over channels that one invocation is left with per step: `values` numbers over a subgroup's channels. */
export function subgroupValues({ lanes, subgroup }: { lanes: number; subgroup: number }, values: number): number {
  return Math.max(values === 0 ? 0 : 1, (values * lanes) / subgroup);
}

/** Writes du, d delta and dz of step `t` (a WGSL expression within the tile) from its sums. */
function storeStep({ D, z, deltaBias, channelBlock }: Variant, t: string, sums: readonly [string, string, string]): string {
  const [sumB, sumA, y] = sums;
  return `
        let x = tileX[${t} * ${channelBlock}u + c];
        let at = (b * params.length + tile0 + ${t}) * params.channels + channel;
        store_gradU(at, ${D ? 'skip * x.z + ' : ''}x.x * ${sumB});
        let gradDelta = (${sumB} * x.y + ${sumA}) * x.w;
        store_gradDelta(at, gradDelta);
        ${when(deltaBias, 'gradBias += gradDelta;')}
        ${when(D, 'gradD += x.z * x.y;')}
        ${when(
          z,
          `let gate = load_z(at);
        let open = sigmoid(gate);
        store_gradZ(at, load_gradY(at) * (${y}${D ? ' + skip * x.y' : ''}) * open * (1.0 + gate * (1.0 - open)));`,
        )}`;
}

/** Index of (slot, b, t, group, first state) in the partial sums of dB or dC. */
function partRow(variant: Variant, name: 'B' | 'C', t: string): string {
  const rowSize = variant.dState * width(variant);
  return `params.part${name} + slot * params.batch * params.length * params.groups * ${rowSize}u + ${rowIndex(variant, t)}`;
}

/** Through workgroup memory, every `reduceSteps` steps: works everywhere. */
export function reduceInWorkgroup(variant: Variant): Reduction {
  const { lanes, channelBlock, reduceSteps, variableB, variableC, z } = variant;
  const size = workgroupSize(variant);
  const stride = channelBlock + 1; // keeps the readers of one step in different banks
  const sumAt = (which: number, r: string, lane: string): string =>
    `tileSums[((${which * reduceSteps}u + ${r}) * ${lanes}u + ${lane}) * ${channelBlock}u + c]`;
  const overChannels = (name: 'B' | 'C', t0: number): string => `
    for (var j = local; j < ${reduceSteps * lanes}u; j += ${size}u) {
      let t = tile0 + ${t0}u + j / ${lanes}u;
      if (t < end) {
        var sum = parts${name}[j * ${stride}u];
        for (var k = 1u; k < ${channelBlock}u; k++) { sum = plus(sum, parts${name}[j * ${stride}u + k]); }
        let row = ${partRow(variant, name, 't')};
        if (block > slot) { sum = plus(sum, load_scratch_state(row, j % ${lanes}u)); }
        store_scratch_state(row, j % ${lanes}u, sum);
      }
    }`;
  return {
    steps: reduceSteps,
    declarations: `
var<workgroup> tileSums: array<f32, ${(z ? 3 : 2) * reduceSteps * size}>;
${when(variableB, `var<workgroup> partsB: array<State, ${reduceSteps * lanes * stride}>;`)}
${when(variableC, `var<workgroup> partsC: array<State, ${reduceSteps * lanes * stride}>;`)}`,
    tileStart: '',
    step(t, { sumB, sumA, y }) {
      const r = `${t % reduceSteps}u`;
      return `
      ${sumAt(0, r, 'lane')} = ${sumB};
      ${sumAt(1, r, 'lane')} = ${sumA};
      ${when(z, `${sumAt(2, r, 'lane')} = ${y};`)}
      ${when(variableB, `partsB[(${r} * ${lanes}u + lane) * ${stride}u + c] = partB;`)}
      ${when(variableC, `partsC[(${r} * ${lanes}u + lane) * ${stride}u + c] = partC;`)}`;
    },
    finish(t0) {
      const own = repeat(
        Math.ceil(reduceSteps / lanes),
        (q) => `
    { let r = lane + ${q * lanes}u;
      if (live && r < ${reduceSteps}u && tile0 + ${t0}u + r < end) {
        var sumB = 0.0; var sumA = 0.0; ${when(z, 'var y = 0.0;')}
        for (var k = 0u; k < ${lanes}u; k++) {
          sumB += ${sumAt(0, 'r', 'k')};
          sumA += ${sumAt(1, 'r', 'k')};
          ${when(z, `y += ${sumAt(2, 'r', 'k')};`)}
        }
        ${storeStep(variant, `(${t0}u + r)`, ['sumB', 'sumA', 'y'])}
      }
    }`,
      );
      return `
      workgroupBarrier();
      ${own}
      ${when(variableB, overChannels('B', t0))}
      ${when(variableC, overChannels('C', t0))}`;
    },
    overLanes: (name) => `
    workgroupBarrier();
    tileSums[local] = ${name};
    workgroupBarrier();
    if (lane == 0u) {
      for (var k = 1u; k < ${lanes}u; k++) { ${name} += tileSums[k * ${channelBlock}u + c]; }
    }`,
  };
}

/**
 * In registers: a channel's lanes and \`subgroup / lanes\` channels share a subgroup. The sums over channels halve the
 * numbers with every exchange (each half of the invocations goes on with one half of them), so that at the end every
 * invocation holds a different one; a tile's worth goes through workgroup memory to be added over the subgroups.
 * Takes invocations to be in subgroups in the order of their index.
 */
export function reduceInSubgroups(variant: Variant): Reduction {
  const { lanes, tile, vectors, subgroup, variableB, variableC, complex, z } = variant;
  const size = workgroupSize(variant);
  const channels = subgroup / lanes;
  const own = Math.ceil(tile / lanes);
  const perState = 4 * vectors * width(variant);
  const total = perState * (Number(variableB) + Number(variableC));
  const left = subgroupValues(variant, total);
  const components = Array.from({ length: vectors * 4 }, (_, n) =>
    (complex ? ['r', 'i'] : ['r']).map((part) => `${part}${n >> 2}[${n & 3}]`),
  ).flat();
  const values = [
    ...(variableB ? components.map((field) => `partB.${field}`) : []),
    ...(variableC ? components.map((field) => `partC.${field}`) : []),
  ];
  const exchange = (): string => {
    const lines = values.map((value, j) => `var v${j} = ${value};`);
    let count = total;
    for (let mask = channels / 2; mask >= 1; mask /= 2) {
      if (count > 1) {
        const half = count / 2;
        lines.push(`{ let high = (place & ${mask}u) != 0u;`);
        for (let j = 0; j < half; j++) {
          lines.push(
            `v${j} = select(v${j}, v${j + half}, high) + subgroupShuffleXor(select(v${j + half}, v${j}, high), ${mask}u);`,
          );
        }
        lines.push('}');
        count = half;
      } else {
        lines.push(`v0 += subgroupShuffleXor(v0, ${mask}u);`);
      }
    }
    return lines.join('\n      ');
  };
  const overLanes = (name: string): string => {
    const lines: string[] = [];
    for (let mask = channels; mask < subgroup; mask *= 2) lines.push(`${name} += subgroupShuffleXor(${name}, ${mask}u);`);
    return lines.join(' ');
  };
  const rowSize = variant.dState * width(variant);
  const exact = lanes * perState === rowSize;
  const rows = tile * lanes * total; // numbers per tile, summed over the workgroup's subgroups
  const subgroups = size / subgroup;
  const addUp = `
      for (var j = local; j < ${rows}u; j += ${size}u) {
        let t = tile0 + j / ${lanes * total}u;
        let state = (j / ${total}u) % ${lanes}u;
        let value = j % ${total}u;
        let element = state * ${perState}u + value % ${perState}u;
        if (t < end${exact ? '' : ` && element < ${rowSize}u`}) {
          var row = ${variableB ? partRow(variant, 'B', 't') : partRow(variant, 'C', 't')};
          ${when(variableB && variableC, `if (value >= ${perState}u) { row = ${partRow(variant, 'C', 't')}; }`)}
          var sum = 0.0;
          ${when(true, `for (var k = 0u; k < ${subgroups}u; k++) { sum += parts[k * ${rows}u + j]; }`)}
          if (block > slot) { sum += load_scratch(row + element); }
          store_scratch(row + element, sum);
        }
      }`;
  return {
    steps: tile,
    declarations: when(total > 0, `var<workgroup> parts: array<f32, ${Math.max(1, subgroups * rows)}>;`),
    tileStart: repeat(own, (q) => `var ownB${q} = 0.0; var ownA${q} = 0.0; ${when(z, `var ownY${q} = 0.0;`)}`),
    step(t, { sumB, sumA, y }) {
      const q = Math.floor(t / lanes);
      const mine = lanes === 1 ? 'true' : `lane == ${t % lanes}u`;
      // with more channels than values, several invocations end with the same one
      const duplicates = total === 0 ? 0 : Math.max(1, channels / total);
      return `
      var sumB = ${sumB}; ${overLanes('sumB')} ownB${q} = select(ownB${q}, sumB, ${mine});
      var sumA = ${sumA}; ${overLanes('sumA')} ownA${q} = select(ownA${q}, sumA, ${mine});
      ${when(z, `var y = ${y}; ${overLanes('y')} ownY${q} = select(ownY${q}, y, ${mine});`)}
      ${when(
        total > 0,
        `${exchange()}
      ${when(duplicates > 1, `if ((place & ${duplicates - 1}u) == 0u) {`)}
      let first = (local / ${subgroup}u) * ${rows}u + (${t * lanes}u + lane) * ${total}u + ${
        duplicates > 1 ? `place / ${duplicates}u` : `place * ${left}u`
      };
      ${repeat(left, (j) => `parts[first + ${j}u] = v${j};`)}
      ${when(duplicates > 1, '}')}`,
      )}`;
    },
    finish() {
      const steps = repeat(
        own,
        (q) => `
    { let r = lane + ${q * lanes}u;
      if (live && r < ${tile}u && tile0 + r < end) {${storeStep(variant, 'r', [`ownB${q}`, `ownA${q}`, `ownY${q}`])}
      }
    }`,
      );
      return `${when(total > 0, 'workgroupBarrier();')}
      ${steps}
      ${when(total > 0, addUp)}`;
    },
    overLanes,
  };
}

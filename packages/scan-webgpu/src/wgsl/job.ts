import { type Variant, when, width } from './variant';

/**
 * Start of a scan kernel's main: which workgroup this is, and which channel and lane this invocation has. Workgroups
 * are counted over two dimensions, since one dimension holds 65535 only. `blocks` are the workgroups of a group.
 */
export function jobCode(variant: Variant, blocks: 'groupBlocks' | 'slots'): string {
  const { channelBlock, lanes, subgroup } = variant;
  return `
  let job = group_id.y * groups.x + group_id.x;
  let blocks = params.groups * params.${blocks};
  if (job >= blocks * params.chunks * params.batch) { return; }
  let b = (job / blocks) / params.chunks;
  let chunk = (job / blocks) % params.chunks;
  let group = (job % blocks) / params.${blocks};
  let block = (job % blocks) % params.${blocks};
  ${
    blocks === 'slots' && subgroup > 0
      ? `let place = local % ${subgroup / lanes}u; // among the subgroup's channels
  let lane = (local % ${subgroup}u) / ${subgroup / lanes}u;
  let c = (local / ${subgroup}u) * ${subgroup / lanes}u + place;`
      : `let lane = local / ${channelBlock}u;
  let c = local % ${channelBlock}u;`
  }
  let begin = chunk * params.chunkLength;
  let end = min(begin + params.chunkLength, params.length);
  let record = params.records + (b * params.chunks + chunk) * params.recordStride;
  let endChannel = (group + 1u) * params.groupChannels;`;
}

export const mainHead = (size: number): string => `
@compute @workgroup_size(${size})
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {`;

/** `channel`, whether it is one, and what the kernel keeps of it in registers. */
export function channelCode(variant: Variant, block: string): string {
  const size = variant.dState * width(variant);
  return `
  let channel = group * params.groupChannels + ${block} * ${variant.channelBlock}u + c;
  let live = channel < endChannel;
  let states = (b * params.channels + channel) * ${size}u;
  let coefficients = channel * ${size}u;
  var A = zeroState();
  var bias = 0.0;
  if (live) {
    A = load_A_state(coefficients, lane);
    ${when(variant.deltaBias, 'bias = load_deltaBias(channel);')}
  }`;
}

/** Index of (b, t, group, first state) in variable B and C. */
export function rowIndex(variant: Variant, t: string): string {
  return `((b * params.length + ${t}) * params.groups + group) * ${variant.dState * width(variant)}u`;
}

/** dt from the raw delta. */
export function timeStepCode(variant: Variant, raw: string): string {
  return variant.deltaSoftplus ? `softplus(${raw})` : raw;
}

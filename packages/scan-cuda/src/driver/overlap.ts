// Programmatic dependent launch: a kernel's blocks are placed while the kernel before still runs, and wait on the device for its end. Saves the gap
// between short kernels. PTX that was made for any card gets the instructions here, where the card has them.

/** A comment in PTX (inline assembly of the sources): what stands before it may run while earlier kernels still do. */
const marker = '// overlap: await earlier kernels';
/**
 * First allow the kernel behind to be placed, then wait until the one before is done and visible, which waited for what is before it in turn. In this
 * order several kernels behind a short one are placed while it runs, and read what they may read early.
 */
const instructions = 'griddepcontrol.launch_dependents;\n\tgriddepcontrol.wait;';

/** Can this device run what {@link overlapping} makes? */
export function overlaps(computeCapability: readonly [major: number, minor: number], driverVersion: number): boolean {
  return computeCapability[0] >= 9 && driverVersion >= 12030;
}

/**
 * PTX text whose kernels wait on the device for what was queued before them: at the marker, or at their start where they have none. Null for what is
 * no PTX text.
 */
export function overlapping(ptx: string): string | null {
  const version = /^\s*\.version (\d+)\.(\d+)/m.exec(ptx);
  if (!version) return null;
  const target = /^\s*\.target sm_(\d+)a?\b/m.exec(ptx);
  if (!target) return null;
  let raised = Number(target[1]) >= 90 ? ptx : ptx.replace(target[0], target[0].replace(`sm_${target[1]}`, 'sm_90'));
  // The instructions came with version 7.8 of PTX.
  if (Number(version[1]) * 100 + Number(version[2]) < 708) raised = raised.replace(version[0], version[0].replace(/\d+\.\d+$/, '7.8'));
  // A kernel runs from its .entry to the next one; device functions in between have no marker and no body of a kernel.
  const pieces = raised.split(/(?=^[^\n/]*\.entry\b)/m);
  return pieces
    .map((piece, i) => {
      if (i === 0) return piece;
      if (piece.includes(marker)) return piece.replaceAll(marker, instructions);
      return piece.replace(/\{/, `{\n\t${instructions}`);
    })
    .join('');
}

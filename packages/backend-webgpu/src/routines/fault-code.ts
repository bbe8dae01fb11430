/** WGSL that claims the fault record `fault` for the first bad id that it is told of. */
export const raiseFault = `fn raise_fault(kind: u32, value: i32, position: u32, limit: u32) {
  for (;;) {
    let claim = atomicCompareExchangeWeak(&fault[0], 0u, kind);
    if (claim.exchanged) {
      atomicStore(&fault[1], bitcast<u32>(value));
      atomicStore(&fault[2], position);
      atomicStore(&fault[3], limit);
      return;
    }
    if (claim.old_value != 0u) { return; }
  }
}`;

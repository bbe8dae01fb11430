/** `12 s`, `3 min 20 s`, `2 h 5 min`: as long as a person would say it. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '…';
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** `950`, `12,300`, `1,250,000`: three digits, thousands apart. */
export function formatRate(perSecond: number): string {
  if (!Number.isFinite(perSecond)) return '…';
  const digits = Math.max(0, Math.floor(Math.log10(Math.max(perSecond, 1))) - 2);
  return formatCount(Math.round(perSecond / 10 ** digits) * 10 ** digits);
}

/** Thousands apart: `16,384`. */
export function formatCount(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** A loss: four significant places, never in exponents where a person reads it. */
export function formatLoss(loss: number): string {
  if (!Number.isFinite(loss)) return String(loss);
  return loss >= 0.0995 ? loss.toFixed(3) : loss >= 0.00995 ? loss.toFixed(4) : loss.toFixed(5);
}

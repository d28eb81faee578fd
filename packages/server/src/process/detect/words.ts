const large = new Intl.NumberFormat('en-US', {
  notation: 'compact',
  compactDisplay: 'long',
  maximumFractionDigits: 2,
});
const small = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 3, useGrouping: false });

/**
 * Short enough to read in a sentence: three significant digits, thousands kept whole, "2.5 billion". What is nothing
 * beside `scale`, the size of what the number is compared with, is 0: arithmetic leaves 2e-34 where nothing came.
 */
export function formatNumber(value: number, scale = 0): string {
  const size = Math.abs(value);
  if (size === 0 || size < 1e-4 * Math.abs(scale)) return '0';
  if (size < 1e-9 || size >= 1e15) return value.toExponential(2).replace('e', ' × 10^').replace('^+', '^');
  if (size >= 1e9) return large.format(value);
  return size >= 100 ? Math.round(value).toLocaleString('en-US') : small.format(value);
}

export function formatPercent(share: number): string {
  if (share > 0 && share < 1e-6) return 'less than 0.0001 %';
  return `${small.format(Number((share * 100).toPrecision(share < 0.001 ? 1 : 2)))} %`;
}

export function formatDuration(durationMs: number): string {
  const minutes = durationMs / 60_000;
  if (minutes < 2) return `${Math.round(durationMs / 1000)} s`;
  if (minutes < 120) return `${Math.round(minutes)} min`;
  return minutes < 2880 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1440)} days`;
}

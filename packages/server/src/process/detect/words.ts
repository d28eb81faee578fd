/** Short enough to read in a sentence: three significant digits, thousands kept whole. */
export function formatNumber(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e9 || (size > 0 && size < 1e-4)) return value.toExponential(2);
  return size >= 100 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3)));
}

export function formatPercent(share: number): string {
  return `${Number((share * 100).toPrecision(share < 0.001 ? 1 : 2))} %`;
}

export function formatDuration(durationMs: number): string {
  const minutes = durationMs / 60_000;
  if (minutes < 2) return `${Math.round(durationMs / 1000)} s`;
  if (minutes < 120) return `${Math.round(minutes)} min`;
  return minutes < 2880 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1440)} days`;
}

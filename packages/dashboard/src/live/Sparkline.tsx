const width = 200;
const height = 28;

/** The shape of a series in the window, for the eye only: the charts below have the figures. */
export function Sparkline({ values }: { values: readonly (number | null)[] }) {
  const known = values.filter((value): value is number => value !== null);
  const highest = Math.max(...known, Number.MIN_VALUE);
  const lowest = Math.min(0, ...known);
  let path = '';
  let pen = 'M';
  values.forEach((value, index) => {
    if (value === null) {
      pen = 'M';
      return;
    }
    const x = (index / Math.max(1, values.length - 1)) * width;
    const y = height - 2 - ((value - lowest) / (highest - lowest)) * (height - 4);
    path += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    // A value between two gaps is a dot: a line of no length with round ends.
    if (pen === 'M') path += 'h0';
    pen = 'L';
  });
  return (
    <svg
      aria-hidden="true"
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="none"
      className="absolute inset-x-0 bottom-1 h-7 w-full text-accent opacity-80"
    >
      <path
        d={path}
        fill="none"
        stroke="currentColor"
        strokeWidth="1.5"
        strokeLinejoin="round"
        strokeLinecap="round"
        vectorEffect="non-scaling-stroke"
      />
    </svg>
  );
}

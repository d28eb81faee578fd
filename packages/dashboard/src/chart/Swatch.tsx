/** A second sign beside the colour, for those who do not see it: the later colours are dashed. */
const dashes: readonly (string | undefined)[] = [undefined, undefined, undefined, '7 3', '2 3', '10 3 2 3'];

export function dashOf(slot: number): string | undefined {
  return dashes[slot % dashes.length];
}

export function colourOf(slot: number): string {
  return `var(--series-${(slot % dashes.length) + 1})`;
}

/** The line of a series, as its chart draws it. */
export function Swatch({ slot, dash = slot }: { slot: number; dash?: number | undefined }) {
  return (
    <svg aria-hidden="true" viewBox="0 0 18 4" className="h-1 w-4.5 shrink-0">
      <line
        x1="1"
        x2="17"
        y1="2"
        y2="2"
        stroke={colourOf(slot)}
        strokeWidth="2.5"
        strokeDasharray={dashOf(dash)}
      />
    </svg>
  );
}

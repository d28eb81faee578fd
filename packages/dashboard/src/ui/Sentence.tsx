/** A figure with its unit, which a line must not break apart: "0.53 %" */
const figure = /(\d[\d.,]* (?:%|ms|s|min|h|days?)(?!\w))/;

/** Text with figures, as it is read: each stays on one line with its unit. */
export function Sentence({ text }: { text: string }) {
  return text.split(figure).map((part, index) =>
    index % 2 === 0 ? (
      part
    ) : (
      // biome-ignore lint/suspicious/noArrayIndexKey: the parts of one text have no other name
      <span key={index} className="whitespace-nowrap">
        {part}
      </span>
    ),
  );
}

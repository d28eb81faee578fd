import type { InferenceEvent } from '../../data/event.ts';

/** Units of columns whose names do not say them. */
const units: Readonly<Record<string, string>> = {
  confidence_score: '0 to 1',
  quality_score: '0 to 1',
  sample_weight: 'events that this row stands for',
  feedback: '-1, 0 or 1',
};

/** Everything that is known of an event, column by column. */
export function EventFacts({ event }: { event: InferenceEvent }) {
  const facts = Object.entries(event.row).filter(([, value]) => value !== null && value !== undefined);
  return (
    <dl className="grid gap-x-6 text-small sm:gap-y-1.5 sm:grid-cols-[max-content_1fr]">
      {facts.map(([column, value]) => (
        <div key={column} className="contents">
          <dt className="font-mono text-caption text-muted leading-5">
            {column}
            {units[column] !== undefined && ` (${units[column]})`}
          </dt>
          <dd className="min-w-0 pb-2 sm:pb-0 whitespace-pre-wrap break-words">
            {typeof value === 'object' ? (
              <code className="font-mono text-caption">{JSON.stringify(value, null, 2)}</code>
            ) : (
              String(value)
            )}
          </dd>
        </div>
      ))}
    </dl>
  );
}

import type { InferenceEvent } from '../../data/event.ts';
import { latency, timeWithSeconds } from '../../data/format.ts';

/** An event in one line. Whatever it says is text and only text. */
export function EventLine({ event }: { event: InferenceEvent }) {
  const { at, model, latencyMs, predictionClass, isError, errorMessage } = event;
  return (
    <>
      <time dateTime={new Date(at).toISOString()} className="shrink-0 text-muted">
        {timeWithSeconds(at)}
      </time>
      <span className="min-w-0 max-w-36 truncate font-medium">{model}</span>
      <span className={`min-w-0 flex-1 truncate ${isError ? 'text-bad' : 'text-muted'}`}>
        {isError ? `Error${errorMessage === null ? '' : `: ${errorMessage}`}` : predictionClass}
      </span>
      <span className="figure shrink-0">{latency(latencyMs)}</span>
    </>
  );
}

import type { InferenceEvent } from '../../data/event.ts';
import { latency, timeWithSeconds } from '../../data/format.ts';
import { Name } from '../../ui/Name.tsx';

/**
 * An event in one line. Whatever it says is text and only text.
 *
 * @param isNarrow where it stands in a rail on large screens
 */
export function EventLine({ event, isNarrow = false }: { event: InferenceEvent; isNarrow?: boolean }) {
  const { at, model, latencyMs, predictionClass, isError, errorMessage } = event;
  return (
    <>
      <time dateTime={new Date(at).toISOString()} className="shrink-0 text-muted">
        {timeWithSeconds(at)}
      </time>
      <Name name={model} className={`max-w-36 font-medium sm:max-w-72 ${isNarrow ? 'xl:max-w-36' : ''}`} />
      <span className={`min-w-0 flex-1 truncate ${isError ? 'text-bad' : 'text-muted'}`}>
        {isError ? `Error${errorMessage === null ? '' : `: ${errorMessage}`}` : predictionClass}
      </span>
      <span className="figure shrink-0">{latency(latencyMs)}</span>
    </>
  );
}

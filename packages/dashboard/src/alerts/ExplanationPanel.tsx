import { PageLink } from '../app/PageLink.tsx';
import type { Example, Explanation } from '../data/explanation.ts';
import { duration, latency, momentOfDay, timeOfDay } from '../data/format.ts';
import type { IncidentAlert } from '../data/incident.ts';
import { Panel } from '../ui/Panel.tsx';
import type { PanelState } from '../ui/panelState.ts';
import { Sentence } from '../ui/Sentence.tsx';
import { inLocalTime } from './localTime.ts';

const whats: Record<string, string> = {
  model_version: 'Model version',
  feature: 'Feature',
  variant: 'Variant',
};

export interface ExplanationPanelProps {
  readonly alert: IncidentAlert;
  readonly now: number;
  readonly state: PanelState;
}

/** What changed, which value of which dimension explains it, three events, what was new. */
export function ExplanationPanel({ alert, now, state }: ExplanationPanelProps) {
  const { explanation } = alert;
  return (
    <Panel title="What and why" state={state}>
      {explanation === undefined ? (
        <p className="px-4 pb-4 text-muted text-small">
          The explanation names users and quotes errors: it needs a service key.
        </p>
      ) : explanation === null ? (
        <p className="px-4 pb-4 text-muted text-small">
          {alert.message} There is no explanation beyond that.
        </p>
      ) : (
        <Explained explanation={explanation} now={now} />
      )}
    </Panel>
  );
}

function Explained({ explanation, now }: { explanation: Explanation; now: number }) {
  const { sentence, causeSentence, causes, examples, deployed, dataAgeSeconds } = explanation;
  const local = (text: string) => inLocalTime(text, explanation, now);
  return (
    <div className="grid gap-4 px-4 pb-4">
      <div className="grid gap-1">
        <p className="min-w-0 break-words">
          <Sentence text={local(sentence)} />
        </p>
        <p className="min-w-0 break-words font-medium" data-cause>
          <Sentence text={local(causeSentence)} />
        </p>
        <p className="text-caption text-muted">
          {dataAgeSeconds !== null &&
            `The newest data was ${duration(dataAgeSeconds * 1_000)} old when this was written.`}
        </p>
      </div>
      {causes.length > 1 && (
        <div>
          <h3 className="font-semibold text-small">Also</h3>
          <ul className="grid gap-1 text-small">
            {causes.slice(1).map((sentence) => (
              <li key={sentence} className="min-w-0 break-words">
                <Sentence text={local(sentence)} />
              </li>
            ))}
          </ul>
        </div>
      )}
      <div>
        <h3 className="font-semibold text-small">New just before</h3>
        {deployed.length === 0 ? (
          <p className="text-muted text-small">No model version, feature or variant was new.</p>
        ) : (
          <ul className="grid gap-1 text-small">
            {deployed.map(({ what, value, at }) => (
              <li key={`${what} ${value}`} className="min-w-0 break-words">
                {whats[what] ?? what} {value}, first seen {timeOfDay(at, now)}
              </li>
            ))}
          </ul>
        )}
      </div>
      {examples.length > 0 && (
        <div>
          <h3 className="mb-1 font-semibold text-small">Examples</h3>
          <ul className="grid gap-2">
            {examples.map((example) => (
              <ExampleLine key={example.id} example={example} now={now} />
            ))}
          </ul>
        </div>
      )}
    </div>
  );
}

function ExampleLine({ example, now }: { example: Example; now: number }) {
  const { at, model, latencyMs, isError, errorMessage, feature, userId, traceId } = example;
  const facts = [
    model,
    latency(latencyMs),
    feature === null ? '' : `feature ${feature}`,
    userId === null ? '' : `user ${userId}`,
    traceId === null ? '' : `trace ${traceId}`,
  ].filter(Boolean);
  return (
    <li
      data-example={example.id}
      className="grid min-w-0 gap-0.5 rounded-md border border-line p-2 text-small"
    >
      <span className="flex flex-wrap gap-x-3">
        {at !== undefined && (
          <PageLink
            path="/"
            params={{ at: new Date(Math.floor(at / 1_000) * 1_000).toISOString(), for: '1', of: model }}
          >
            {momentOfDay(at, now)}
          </PageLink>
        )}
        <span className="min-w-0 break-words text-muted">{facts.join(' · ')}</span>
      </span>
      {isError && <span className="min-w-0 break-words text-bad">{errorMessage ?? 'error'}</span>}
    </li>
  );
}

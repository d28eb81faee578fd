import { Tabs } from '@base-ui/react/tabs';
import type { ReactNode } from 'react';
import { readKey } from '../data/access.ts';
import { CopyButton } from '../ui/CopyButton.tsx';
import { Panel } from '../ui/Panel.tsx';
import { languages, snippet } from './snippets.ts';

/** Where `nowcast simulate` sends to by itself. */
const defaultOrigin = 'http://127.0.0.1:4318';

const notesFor = (origin: string) => [
  {
    term: 'Two fields are required',
    text: '`model_version` and `inference_time_ms`. Every model version gets its own line in each chart.',
  },
  {
    term: 'Others bring more to this page',
    text: '`confidence_score`, `is_error` and `error_message`; `input_tokens`, `output_tokens` and `cost_usd`; `quality_score`.',
  },
  {
    term: 'Many at once',
    text: 'POST an array to `/telemetry/inference/batch`: 10 to 1,000 events a request cost the least.',
  },
  {
    term: 'By OpenTelemetry',
    text: `\`OTEL_EXPORTER_OTLP_ENDPOINT=${origin}\` makes events of the spans of model calls.`,
  },
  {
    term: 'Only looking?',
    text: `\`npx nowcast simulate --history 1h${origin === defaultOrigin ? '' : ` --url ${origin}`}\` sends made-up traffic of several models.`,
  },
  {
    term: 'It is all in PostgreSQL',
    text: '`select * from inference_metrics_hourly` says in SQL what this page draws.',
  },
];

/** What a newcomer sees: how to send the first event. It leaves by itself when that event comes. */
export default function FirstEvent() {
  const needsKey = readKey() !== 'local';
  return (
    <Panel
      title="Send the first event"
      caption="this page turns live by itself when it comes"
      state={{ kind: 'live' }}
    >
      <div className="grid gap-x-8 gap-y-6 px-4 pb-4 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
        <Tabs.Root defaultValue="curl" className="min-w-0">
          <Tabs.List className="flex gap-1 border-line border-b" aria-label="Language">
            {languages.map(({ id, title }) => (
              <Tabs.Tab
                key={id}
                value={id}
                className="-mb-px min-h-9 border-transparent border-b-2 px-3 font-medium text-muted text-small hover:text-text data-active:border-accent data-active:text-text"
              >
                {title}
              </Tabs.Tab>
            ))}
          </Tabs.List>
          {languages.map(({ id, title }) => {
            const code = snippet(id, location.origin, needsKey);
            return (
              <Tabs.Panel key={id} value={id} className="relative pt-3">
                <div className="absolute top-5 right-2">
                  <CopyButton text={code} what={`the ${title} example`} />
                </div>
                <section
                  // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must take the focus
                  tabIndex={0}
                  aria-label={`${title} example`}
                  className="overflow-x-auto rounded-md border border-line bg-canvas"
                >
                  <pre className="p-4 pt-12 font-mono text-caption sm:pt-4 sm:pr-28">
                    <code>{code}</code>
                  </pre>
                </section>
              </Tabs.Panel>
            );
          })}
        </Tabs.Root>
        <div className="grid content-start gap-5 text-small lg:pt-3">
          <dl className="grid gap-4">
            {notesFor(location.origin).map(({ term, text }) => (
              <div key={term}>
                <dt className="font-semibold">{term}</dt>
                <dd className="text-muted">{withCode(text)}</dd>
              </div>
            ))}
          </dl>
          <p className="flex items-center gap-2 font-medium">
            <span className="relative flex size-2 text-accent">
              <span className="absolute inline-flex size-full rounded-full bg-current opacity-40 motion-safe:animate-ping" />
              <span className="relative inline-flex size-2 rounded-full bg-current" />
            </span>
            Listening
          </p>
        </div>
      </div>
    </Panel>
  );
}

/** What stands between backticks as code. */
function withCode(text: string): ReactNode {
  return text.split('`').map((part, index) =>
    index % 2 === 0 ? (
      part
    ) : (
      <code key={part} className="wrap-anywhere font-mono text-caption text-text">
        {part}
      </code>
    ),
  );
}

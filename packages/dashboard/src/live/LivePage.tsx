import { useEffect, useState } from 'react';
import { useCell } from '../data/cell.ts';
import { count, duration, latency, percent, score, timeOfDay } from '../data/format.ts';
import { groupBy } from '../data/group.ts';
import type { LiveFeed } from '../data/liveFeed.ts';
import { judge } from '../data/verdict.ts';

export function LivePage({ feed }: { feed: LiveFeed }) {
  const data = useCell(feed.data);
  const connection = useCell(feed.connection);
  const failure = useCell(feed.failure);
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), 1_000);
    return () => clearInterval(timer);
  }, []);
  const now = feed.clock.now();
  const verdict = judge({ now, connection, failure: failure?.message, ...data });
  const byModel = groupBy(data.minutes, ({ model }) => model);
  return (
    <main className="p-6 grid gap-4">
      <h1 aria-live="polite" data-level={verdict.level} className="text-2xl">{verdict.sentence}</h1>
      <ul>{verdict.reasons.map((reason) => <li key={reason.id}>{reason.text}</li>)}</ul>
      <p>
        {typeof data.newestEventAt === 'number' && <>Newest event {duration(now - data.newestEventAt)} ago. </>}
        Connection: {connection.phase}
      </p>
      <table>
        <caption>Last hour, by model version</caption>
        <thead><tr><th>Model version</th><th>Requests</th><th>Errors</th><th>Mean latency</th><th>p95 latency, newest minute</th><th>Confidence</th></tr></thead>
        <tbody>
          {[...byModel].map(([model, rows]) => {
            const requests = rows.reduce((n, r) => n + r.requests, 0);
            const errors = rows.reduce((n, r) => n + r.errors, 0);
            const sumMs = rows.reduce((n, r) => n + r.avgLatencyMs * r.requests, 0);
            const newest = rows.at(-1)!;
            return (
              <tr key={model} data-model={model}>
                <th>{model}</th><td data-requests>{count(requests)}</td><td>{percent(100 * errors / requests)}</td>
                <td>{latency(sumMs / requests)}</td><td>{latency(newest.p95Ms)}</td>
                <td>{newest.avgConfidence === null ? '–' : score(newest.avgConfidence)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      <h2>Open alerts</h2>
      <ul>{data.alerts.map((alert) => <li key={alert.id}>{timeOfDay(alert.at)} {alert.severity} {alert.message}</li>)}</ul>
    </main>
  );
}

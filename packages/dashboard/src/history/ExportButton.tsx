import { useState } from 'react';
import { useFeed } from '../app/session.ts';
import { loadTrendRows } from '../data/historyQueries.ts';
import { Button } from '../ui/Button.tsx';
import { toCsv } from './csv.ts';
import type { HistoryView } from './historyView.ts';
import { dayMs, isoDay } from './period.ts';
import { type HistoryData, trendViews } from './useHistory.ts';

/** Spreadsheets take a file without it for one of the last century's alphabets. */
const byteOrderMark = '\uFEFF';

/** Every period of the stretch and every model or the one that is shown, with every column of the view behind the page. */
export function ExportButton({ view, data }: { view: HistoryView; data: HistoryData }) {
  const feed = useFeed();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();
  const { unit, until } = view.stretch;
  const download = async () => {
    // The first week or month may have begun before the stretch; it is exported whole.
    const first = isoDay(data.starts[0]!);
    setBusy(true);
    setProblem(undefined);
    try {
      const rows = await loadTrendRows(feed.client, {
        view: trendViews[unit],
        first,
        last: isoDay(data.starts.at(-1)!),
        ...(view.model !== undefined && { models: [view.model] }),
      });
      save(
        `nowcast-${unit}s-${first}-to-${isoDay(until - dayMs)}.csv`,
        byteOrderMark + toCsv(Object.keys(rows[0] ?? {}), rows),
      );
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <span className="inline-flex flex-wrap items-center gap-2">
      <Button onClick={download} disabled={busy || data.leaders.length === 0}>
        {busy ? 'Exporting …' : 'Export CSV'}
      </Button>
      {problem !== undefined && (
        <span role="alert" className="text-bad text-small">
          Could not export: {problem}
        </span>
      )}
    </span>
  );
}

function save(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'text/csv;charset=utf-8' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser reads it after the click was handled.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

import { Crash } from '../app/Crash.tsx';
import { useFeed } from '../app/session.ts';
import { useNow } from '../ui/useNow.ts';
import { ChangeTable } from './ChangeTable.tsx';
import { HistoryCharts } from './HistoryCharts.tsx';
import { HistorySummary } from './HistorySummary.tsx';
import { HistoryToolbar } from './HistoryToolbar.tsx';
import { useHistoryView } from './historyView.ts';
import { LeaderTable } from './LeaderTable.tsx';
import { dayMs, dayOf } from './period.ts';
import { useHistory } from './useHistory.ts';

/** How did it develop? Days, weeks and months that are closed, from summaries. */
export default function HistoryPage() {
  const today = dayOf(useNow(useFeed().clock, dayMs));
  const view = useHistoryView(today);
  const data = useHistory(view, today);
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-3">
      <HistorySummary view={view} data={data} />
      <HistoryToolbar view={view} data={data} today={today} />
      <Crash>
        <HistoryCharts view={view} data={data} today={today} />
        <ChangeTable view={view} data={data} />
        <LeaderTable view={view} data={data} />
      </Crash>
    </div>
  );
}

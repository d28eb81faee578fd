import { Suspense } from 'react';
import { Crash } from '../app/Crash.tsx';
import { useFeed } from '../app/session.ts';
import { useCell } from '../data/cell.ts';
import { lazyPart } from '../ui/lazyPart.tsx';
import { AlertPanel } from './AlertPanel.tsx';
import { Charts } from './Charts.tsx';
import { EventsDrawer } from './event/EventsDrawer.tsx';
import { useLiveView } from './liveView.ts';
import { ModelTable } from './ModelTable.tsx';
import { useShownModels } from './shownModels.ts';
import { Tiles } from './Tiles.tsx';
import { Toolbar } from './Toolbar.tsx';
import { TailPanel } from './tail/TailPanel.tsx';
import { useRangeRows } from './useRangeRows.ts';
import { useShownSince } from './useShownSince.ts';
import { Verdict } from './Verdict.tsx';

const FirstEvent = lazyPart(() => import('./FirstEvent.tsx'));

/** Charts and tables are redrawn at most once a second: they are dear, and show minutes. */
const redrawEveryMs = 1_000;

/** Is it working, now? */
export function LivePage() {
  const feed = useFeed();
  const { newestEventAt } = useCell(feed.data);
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-4">
      <Verdict />
      {newestEventAt === null ? (
        <Suspense fallback={null}>
          <FirstEvent />
        </Suspense>
      ) : (
        <Crash>
          <Figures />
        </Crash>
      )}
    </div>
  );
}

function Figures() {
  const view = useLiveView();
  const range = useRangeRows(view.range, redrawEveryMs);
  const models = useShownModels(range.rows, view.model);
  const shownSince = useShownSince(view.range, range);
  return (
    <>
      <Toolbar rangeId={view.range.id} models={models} model={view.model} />
      <Tiles range={view.range} model={view.model} shownSince={shownSince} />
      {/* In the order of a small screen; a large one has the alerts and the tail beside the charts. */}
      <div className="grid grid-cols-[minmax(0,1fr)] gap-3 xl:grid-cols-[minmax(0,1fr)_22rem] xl:grid-rows-[auto_1fr]">
        <AlertPanel className="xl:col-start-2 xl:row-start-1" />
        <div className="grid min-w-0 content-start gap-3 xl:col-start-1 xl:row-span-2 xl:row-start-1">
          <Charts view={view} models={models} range={range} shownSince={shownSince} />
          <ModelTable view={view} models={models} range={range} />
        </div>
        <TailPanel model={view.model} models={models} className="xl:col-start-2 xl:row-start-2" />
      </div>
      {view.events !== undefined && <EventsDrawer window={view.events} />}
    </>
  );
}

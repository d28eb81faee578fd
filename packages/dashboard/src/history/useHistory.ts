import { useCallback, useMemo, useRef } from 'react';
import { useFeed } from '../app/session.ts';
import { useCell } from '../data/cell.ts';
import { FollowedLoad } from '../data/followedLoad.ts';
import { followTables } from '../data/followTables.ts';
import {
  loadChanges,
  loadIsAnyDayBefore,
  loadLeaders,
  loadTrends,
  type TrendView,
} from '../data/historyQueries.ts';
import type { Leader } from '../data/leader.ts';
import { ModelSlots, shownModels } from '../data/modelSlots.ts';
import type { ChangedTrend, Trend } from '../data/trend.ts';
import { useFollowed } from '../data/useFollowed.ts';
import { type PanelState, panelState } from '../ui/panelState.ts';
import type { HistoryView } from './historyView.ts';
import { isoDay, nextStart, periodStarts, type Unit } from './period.ts';

export const trendViews: Record<Unit, TrendView> = {
  day: 'daily_metrics_trend',
  week: 'weekly_metrics_trend',
  month: 'monthly_metrics_trend',
};

/** Closing a year's days writes them one by one. */
const everyMs = 2_000;
/** Fewer make no picture. */
const leastPeriods = 7;
const closedDays = followTables(['daily_metrics_summary']);

interface Loaded {
  readonly leaders: readonly Leader[];
  /** Of the models that charts show. */
  readonly trends: readonly Trend[];
  /** Of every model, of the newest whole period. */
  readonly newest: readonly ChangedTrend[];
  /** Whether the first of them are the first ever. */
  readonly isYoung: boolean;
}

export interface HistoryData {
  readonly starts: readonly number[];
  /** Of what charts draw: of a Nowcast that is younger than the stretch they begin later. */
  readonly drawnStarts: readonly number[];
  readonly leaders: readonly Leader[];
  /** Those that charts show, in the order of their colours. */
  readonly shown: readonly string[];
  readonly slots: ReadonlyMap<string, number>;
  readonly trends: readonly Trend[];
  readonly newest: readonly ChangedTrend[];
  readonly state: PanelState;
  readonly reload: () => void;
}

export function useHistory({ stretch, model }: HistoryView, today: number): HistoryData {
  const feed = useFeed();
  const { unit, from, until } = stretch;
  const starts = useMemo(() => periodStarts({ unit, last: undefined, from, until }), [unit, from, until]);
  const { value, failure, reload } = useFollowed(
    useCallback(() => {
      const view = trendViews[unit];
      const [first, last] = [isoDay(starts[0]!), isoDay(starts.at(-1)!)];
      return new FollowedLoad<Loaded>(feed, {
        everyMs,
        follow: closedDays,
        async ask() {
          const leaders = await loadLeaders(feed.client, first, isoDay(nextStart(unit, starts.at(-1)!)));
          const models = chartedOf(leaders, model);
          const trends = await loadTrends(feed.client, { view, first, last, models });
          const whole = starts.filter((start) => nextStart(unit, start) <= today);
          const known = new Set(trends.map(({ start }) => start));
          const at = whole.findLast((start) => known.has(start));
          const newest =
            at === undefined
              ? []
              : await loadChanges(feed.client, { view, first: isoDay(at), last: isoDay(at) });
          const isLate = trends[0] !== undefined && trends[0].start > starts[0]!;
          const isYoung = isLate && !(await loadIsAnyDayBefore(feed.client, first));
          return { leaders, trends, newest, isYoung };
        },
      });
    }, [feed, unit, starts, model, today]),
  );
  const connection = useCell(feed.connection);
  const slots = useRef(new ModelSlots());
  return useMemo(() => {
    const leaders = value?.leaders ?? [];
    const names = chartedOf(leaders, model);
    const assigned = slots.current.assign(names);
    const shown = [...names].sort((a, b) => assigned.get(a)! - assigned.get(b)!);
    const state = panelState({
      connection,
      loaded: value !== undefined,
      failure,
      empty: value?.leaders.length === 0,
    });
    const { trends = [], newest = [], isYoung = false } = value ?? {};
    const begin = Math.min(trends[0]?.start ?? 0, starts.at(-leastPeriods) ?? 0);
    const drawnStarts = isYoung ? starts.filter((start) => start >= begin) : starts;
    return { starts, drawnStarts, leaders, shown, slots: assigned, trends, newest, state, reload };
  }, [value, failure, connection, starts, model, reload]);
}

/** The busiest models; one that was chosen and is not among them takes the last place. */
function chartedOf(leaders: readonly Leader[], chosen: string | undefined): readonly string[] {
  const busiest = leaders.slice(0, shownModels).map(({ model }) => model);
  if (chosen === undefined || busiest.includes(chosen)) return busiest;
  return [...busiest.slice(0, shownModels - 1), chosen];
}

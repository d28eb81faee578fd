import { ModelName } from '../chart/ModelName.tsx';
import type { Change, ChangedTrend, Changes } from '../data/trend.ts';
import { FigureTable } from '../ui/FigureTable.tsx';
import { Panel } from '../ui/Panel.tsx';
import { emptied } from '../ui/panelState.ts';
import { beforeNames, isClear, signed } from './changes.ts';
import { type HistoryView, showModel } from './historyView.ts';
import { periodName, type Unit } from './period.ts';
import type { HistoryData } from './useHistory.ts';

const fourWeeksNames: Record<Unit, string> = {
  day: 'four weeks before',
  week: 'the same week, four weeks before',
  month: '',
};

/** The newest whole period beside the one before it and the same one four weeks before. */
export function ChangeTable({ view, data }: { view: HistoryView; data: HistoryData }) {
  const { unit } = view.stretch;
  const { newest, state, reload } = data;
  const at = newest[0]?.start;
  const shown = [...newest].sort((a, b) => b.requests - a.requests);
  const columns = [
    ...columnsOf(`against ${beforeNames[unit]}`, (row) => row.before),
    ...(unit === 'month' ? [] : columnsOf(`against ${fourWeeksNames[unit]}`, (row) => row.fourWeeks)),
  ];
  const hasAny = columns.some(({ present }) => newest.some(present));
  const what = at === undefined ? `No whole ${unit}` : `Nothing to compare ${periodName(unit, at)} with`;
  return (
    <Panel
      title="Changes"
      caption={at === undefined ? '' : `${periodName(unit, at)}, by the day`}
      state={hasAny ? state : emptied(state)}
      empty={`${what} yet.`}
      onRetry={reload}
    >
      <FigureTable
        label="Changes"
        rowTitle="Version"
        rows={shown}
        keyOf={({ model }) => model}
        head={({ model }) => (
          <ModelName model={model} slot={data.slots.get(model)} chosen={view.model} onChoose={showModel} />
        )}
        columns={columns}
      />
      <p className="px-4 pb-3 text-caption text-muted">
        “±” is half the width of the 95 % interval, from how days differ. A change in plain grey is smaller
        than that: it may be nothing. Without “±” there are too few days to tell.
      </p>
    </Panel>
  );
}

function columnsOf(window: string, of: (row: ChangedTrend) => Changes | null) {
  const column = (title: string, read: (changes: Changes) => Change, unit: string) => ({
    title,
    window,
    cell: (row: ChangedTrend) => <ChangeCell change={changeOf(of(row), read)} unit={unit} />,
    // A column of dashes says nothing: there is nothing yet to compare with.
    present: (row: ChangedTrend) => changeOf(of(row), read).value !== null,
  });
  return [
    column('Requests', ({ requests }) => requests, '%'),
    column('Mean latency', ({ avgLatency }) => avgLatency, '%'),
    column('Error rate', ({ errorRate }) => errorRate, 'points'),
  ];
}

function changeOf(changes: Changes | null, read: (changes: Changes) => Change): Change {
  return changes === null ? { value: null, margin: null } : read(changes);
}

function ChangeCell({ change, unit }: { change: Change; unit: string }) {
  const { value, margin } = change;
  if (value === null) return <span className="text-muted">–</span>;
  const clear = isClear(change);
  return (
    <span data-clear={clear} className={clear ? 'font-semibold' : 'text-muted'}>
      {signed(value, unit)}
      {margin !== null && <span className="font-normal text-muted"> ± {Number(margin.toPrecision(2))}</span>}
      <span className="sr-only">{clear ? ', a clear change' : ', no clear change'}</span>
    </span>
  );
}

import { Name } from '../ui/Name.tsx';
import type { Point, Series } from './points.ts';
import type { PointPick } from './TimeChart.tsx';
import type { TimeAxis } from './timeAxis.ts';

export interface ChartTableProps {
  readonly title: string;
  readonly points: readonly Point[];
  readonly series: readonly Series[];
  readonly axis: TimeAxis;
  readonly format: (value: number) => string;
  readonly pick: PointPick;
}

/** What the chart shows, as figures; the way to what a point leads to for those who use no pointer. Newest first. */
export function ChartTable({ title, points, series, axis, format, pick }: ChartTableProps) {
  const rows = points.filter(({ values }) => values.some((value) => value !== null && value !== 0)).reverse();
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must take the focus
    <section aria-label={`${title}, table`} tabIndex={0} className="h-full overflow-auto px-4">
      <table className="w-full border-separate border-spacing-0 text-small">
        <thead className="sticky top-0 z-10 bg-(--panel)">
          <tr>
            <th
              scope="col"
              className="sticky left-0 z-10 border-line border-b bg-(--panel) py-1 pr-3 text-left font-medium text-muted"
            >
              From
            </th>
            {series.map(({ label }) => (
              <th
                key={label}
                scope="col"
                className="border-line border-b py-1 pl-3 text-right font-medium text-muted"
              >
                <Name name={label} className="max-w-40" />
              </th>
            ))}
            <th scope="col" className="border-line border-b py-1 pl-3">
              <span className="sr-only">{pick.name}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ start, values }) => (
            <tr key={start}>
              <th
                scope="row"
                className="sticky left-0 whitespace-nowrap bg-(--panel) py-0.5 pr-3 text-left font-normal"
              >
                <time dateTime={new Date(start).toISOString()}>{axis.short(start)}</time>
              </th>
              {values.map((value, index) => (
                <td key={series[index]?.label} className="whitespace-nowrap py-0.5 pl-3 text-right">
                  {value === null ? '–' : format(value)}
                </td>
              ))}
              <td className="py-0.5 pl-3 text-right">
                <button
                  type="button"
                  className="text-accent underline underline-offset-2"
                  onClick={() => pick.onPick(start)}
                  aria-label={`${pick.name} of ${axis.span(start)}`}
                >
                  {pick.name}
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

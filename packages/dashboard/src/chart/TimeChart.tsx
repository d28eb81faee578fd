import { memo } from 'react';
import {
  Area,
  CartesianGrid,
  ComposedChart,
  Line,
  ReferenceArea,
  ResponsiveContainer,
  Tooltip,
  type TooltipContentProps,
  XAxis,
  YAxis,
} from 'recharts';
import { Name } from '../ui/Name.tsx';
import { looksLikeFall, type Point, type Series } from './points.ts';
import { colourOf, dashOf, Swatch } from './Swatch.tsx';
import type { TimeAxis } from './timeAxis.ts';
import { type Unit, valueAxis } from './valueAxis.ts';

export interface TimeChartProps {
  /** What a screen reader hears instead of the picture. */
  readonly label: string;
  readonly kind: 'line' | 'stack';
  readonly points: readonly Point[];
  readonly series: readonly Series[];
  /** Compared: keep it with useMemo. */
  readonly axis: TimeAxis;
  readonly format: (value: number) => string;
  readonly unit: Unit;
  /** What a point leads to, and the way there. */
  readonly pick: PointPick;
}

export interface PointPick {
  /** "Events", "Days". */
  readonly name: string;
  readonly onPick: (start: number) => void;
}

const axisStyle = { fill: 'var(--muted)', fontSize: 11 } as const;

/** Loaded after the first paint: Recharts is the largest thing on the page. */
function TimeChart(props: TimeChartProps) {
  const { label, kind, points, series, axis, format, unit, pick } = props;
  const first = points[0]?.start ?? 0;
  const last = points.at(-1)?.start ?? 0;
  const undrawn =
    kind === 'stack' && axis.underWayMs !== undefined && looksLikeFall(points.map(totalOf))
      ? last
      : undefined;
  const values = valueAxis(unit, kind === 'stack' ? points.map(totalOf) : points.flatMap(valuesOf));
  return (
    <ResponsiveContainer width="100%" height="100%">
      <ComposedChart
        data={points as Point[]}
        aria-label={label}
        margin={{ top: 6, right: 26, bottom: 0, left: 2 }}
        // One crosshair through all charts.
        syncId="charts"
        syncMethod="value"
        style={{ cursor: 'pointer' }}
        onClick={(_, event) => {
          const start = startAt(event.currentTarget, event.clientX, points);
          if (start !== undefined) pick.onPick(start);
        }}
      >
        <CartesianGrid vertical={false} stroke="var(--line)" />
        {axis.underWayMs !== undefined && (
          <ReferenceArea x1={last - axis.underWayMs} x2={last} fill="var(--raised)" fillOpacity={0.8} />
        )}
        <XAxis
          dataKey="start"
          type="number"
          domain={[first, last]}
          ticks={axis.ticks as number[]}
          tickFormatter={axis.tick}
          height={24}
          minTickGap={12}
          tick={axisStyle}
          tickLine={false}
          axisLine={{ stroke: 'var(--line)' }}
        />
        <YAxis
          width={52}
          domain={[values.ticks[0]!, values.ticks.at(-1)!]}
          ticks={values.ticks as number[]}
          tickFormatter={values.format}
          tick={axisStyle}
          tickLine={false}
          axisLine={false}
          // All of them or none: few are asked for, and one that is left out makes steps look uneven.
          interval={0}
        />
        <Tooltip
          isAnimationActive={false}
          // Otherwise it hides where nothing is drawn.
          filterNull={false}
          cursor={{ stroke: 'var(--line-strong)' }}
          content={(hover) => <Hover {...hover} {...{ points, series, axis, format, last, pick }} />}
        />
        {series.map((one, index) => {
          const common = {
            // By index: names come from events. Recharts also asks of points that it made up itself.
            dataKey: (point: Partial<Point>) => (point.start === undrawn ? undefined : point.values?.[index]),
            stroke: colourOf(one.slot),
            strokeWidth: 1.75,
            strokeDasharray: dashOf(one.dash ?? one.slot) ?? '',
            isAnimationActive: false,
            activeDot: { r: 3 },
          };
          return kind === 'stack' ? (
            <Area
              key={one.label}
              {...common}
              type="linear"
              stackId="all"
              fill={colourOf(one.slot)}
              fillOpacity={0.22}
              dot={false}
            />
          ) : (
            <Line key={one.label} {...common} type="linear" dot={lonelyDot(points, index)} />
          );
        })}
      </ComposedChart>
    </ResponsiveContainer>
  );
}

export default memo(TimeChart);

function totalOf({ values }: Point): number {
  return values.reduce<number>((sum, value) => sum + (value ?? 0), 0);
}

function valuesOf({ values }: Point): number[] {
  return values.filter((value) => value !== null);
}

/**
 * The point nearest to a click. Recharts would tell the point that the pointer was over before, which a tap on a
 * touch screen does not have.
 */
function startAt(chart: Element, clientX: number, points: readonly Point[]): number | undefined {
  const plot = chart.querySelector('.recharts-cartesian-grid')?.getBoundingClientRect();
  if (plot === undefined || plot.width === 0) return undefined;
  const share = (clientX - plot.left) / plot.width;
  return points[Math.round(share * (points.length - 1))]?.start;
}

interface LonelyDotProps {
  readonly lonely: ReadonlySet<number>;
  // Recharts adds the others.
  readonly cx?: number;
  readonly cy?: number;
  readonly index?: number;
  readonly stroke?: string;
}

/** A value between two gaps has no line to be on; without a dot the first event of all would be invisible. */
function LonelyDot({ lonely, cx, cy, index = -1, stroke }: LonelyDotProps) {
  return lonely.has(index) ? <circle cx={cx} cy={cy} r={2.5} fill={stroke} /> : null;
}

/** Mostly there is none; Recharts then need not make an element for each point of each line. */
function lonelyDot(points: readonly Point[], column: number) {
  const has = (index: number) => (points[index]?.values[column] ?? null) !== null;
  const lonely = new Set(
    [...points.keys()].filter((index) => has(index) && !has(index - 1) && !has(index + 1)),
  );
  return lonely.size === 0 ? false : <LonelyDot lonely={lonely} />;
}

interface HoverProps extends TooltipContentProps {
  readonly points: readonly Point[];
  readonly series: readonly Series[];
  readonly axis: TimeAxis;
  readonly format: (value: number) => string;
  readonly last: number;
  readonly pick: PointPick;
}

function Hover({ active, label, points, series, axis, format, last, pick }: HoverProps) {
  if (!active || label === undefined) return null;
  const start = Number(label);
  const values = points.find((point) => point.start === start)?.values ?? [];
  return (
    <div className="rounded-md border border-line bg-surface px-3 py-2 text-caption shadow-lg">
      <p className="mb-1 text-muted">
        {axis.span(start)}
        {start === last && axis.underWayMs !== undefined && ', so far'}
      </p>
      <ul className="grid gap-0.5">
        {series.map((one, index) => (
          <li key={one.label} className="flex items-center gap-2">
            <Swatch slot={one.slot} dash={one.dash} />
            <Name name={one.label} className="max-w-48" />
            <span className="figure ml-auto pl-3 font-medium">
              {typeof values[index] === 'number' ? format(values[index]) : '–'}
            </span>
          </li>
        ))}
      </ul>
      <p className="mt-1 text-muted">Click for the {pick.name.toLowerCase()}</p>
    </div>
  );
}

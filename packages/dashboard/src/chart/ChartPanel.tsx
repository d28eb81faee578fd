import { type ReactNode, Suspense, useState } from 'react';
import { Button } from '../ui/Button.tsx';
import { Icon } from '../ui/Icon.tsx';
import { lazyPart } from '../ui/lazyPart.tsx';
import { Name } from '../ui/Name.tsx';
import { Panel } from '../ui/Panel.tsx';
import type { PanelState } from '../ui/panelState.ts';
import { useOnScreen } from '../ui/useOnScreen.ts';
import { useTurn } from '../ui/useTurn.ts';
import { ChartTable } from './ChartTable.tsx';
import type { Series } from './points.ts';
import { Swatch } from './Swatch.tsx';
import type { TimeChartProps } from './TimeChart.tsx';

const loadChart = () => import('./TimeChart.tsx');
/** Fetched as soon as the page has painted, while the figures are still on their way. */
requestAnimationFrame(() => setTimeout(() => loadChart().catch(() => undefined)));
const TimeChart = lazyPart(loadChart);

export interface ChartPanelProps extends Omit<TimeChartProps, 'label'> {
  readonly title: string;
  readonly caption: string;
  readonly state: PanelState;
  readonly onRetry: () => void;
  readonly controls?: ReactNode;
  /** What the person chose to see and how much of it is loaded: where it changes the chart changes at once. */
  readonly subject: string;
}

/** A chart with the table behind it. */
export function ChartPanel({ title, caption, state, onRetry, controls, subject, ...chart }: ChartPanelProps) {
  const [asTable, setAsTable] = useState(false);
  const [ref, onScreen] = useOnScreen();
  const points = useTurn(chart.points, `${subject} ${caption}`, onScreen);
  return (
    <Panel
      title={title}
      caption={caption}
      state={state}
      onRetry={onRetry}
      bodyClassName="flex min-h-56 flex-col"
      actions={
        <>
          {controls}
          <Button
            kind="quiet"
            aria-label={asTable ? `Chart: ${title}` : `Table: ${title}`}
            onClick={() => setAsTable(!asTable)}
          >
            <Icon name={asTable ? 'chart' : 'table'} />
            <span className="max-sm:sr-only">{asTable ? 'Chart' : 'Table'}</span>
          </Button>
        </>
      }
    >
      {/* Taller where the panel beside it has a higher head, so that both end at one line. */}
      <div ref={ref} className="flex min-h-56 flex-1 flex-col pb-2">
        {!asTable && chart.series.length > 1 && (
          <Legend series={chart.series} everywhere={chart.series[0]?.model === chart.series[1]?.model} />
        )}
        <div className="relative min-h-40 flex-1">
          <div className={`absolute inset-0 overflow-x-clip ${asTable ? '' : 'pl-1'}`}>
            {asTable ? (
              <ChartTable title={title} {...chart} points={points} />
            ) : (
              <Suspense fallback={null}>
                <TimeChart
                  {...chart}
                  points={points}
                  label={`${title}, ${caption}. The button "Table: ${title}" shows the figures.`}
                />
              </Suspense>
            )}
          </div>
        </div>
      </div>
    </Panel>
  );
}

/** Of models only where the toolbar, which has the same swatches, does not stay in view. */
function Legend({ series, everywhere }: { series: readonly Series[]; everywhere: boolean }) {
  return (
    <ul
      className={`flex flex-wrap gap-x-4 gap-y-1 px-4 pb-1 text-caption text-muted ${everywhere ? '' : 'md:hidden'}`}
    >
      {series.map(({ label, slot, dash }) => (
        <li key={label} className="flex min-w-0 items-center gap-1.5">
          <Swatch slot={slot} dash={dash} />
          <Name name={label} />
        </li>
      ))}
    </ul>
  );
}

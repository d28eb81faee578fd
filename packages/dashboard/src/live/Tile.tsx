import { isOld, type PanelState } from '../ui/panelState.ts';
import { Sparkline } from './Sparkline.tsx';

export interface TileProps {
  readonly label: string;
  /** The window that the value stands for. */
  readonly window: string;
  readonly value: string;
  readonly level?: 'warning' | 'bad' | undefined;
  /** Rolling averages and the like, each with its own window. */
  readonly lines: readonly string[];
  readonly trend: readonly (number | null)[];
  readonly state: PanelState;
}

const colours = { warning: 'text-warning', bad: 'text-bad' };

/** One figure with its unit and window. */
export function Tile({ label, window, value, level, lines, trend, state }: TileProps) {
  const nothing = state.kind === 'loading' || (state.kind === 'error' && !state.older);
  const old = isOld(state);
  return (
    <div
      data-panel={`tile ${label}`}
      data-state={state.kind}
      className={`relative min-w-0 overflow-hidden rounded-panel border px-4 pt-3 pb-9 ${old ? 'border-line-strong border-dashed bg-canvas' : 'border-line bg-surface'}`}
    >
      <dt>
        <span className="block font-semibold text-small">{label}</span>
        <span className="block text-caption text-muted">{window}</span>
      </dt>
      <dd>
        <output
          className={`figure mt-1 block font-semibold text-figure tracking-tight ${level ? colours[level] : ''}`}
        >
          {nothing ? '–' : value}
        </output>
        {!nothing && lines.length > 0 && (
          <span className="figure block break-words text-caption text-muted">
            {lines.map((line, index) => (
              // A figure stays on one line with its unit, where the line is short enough for that.
              <span key={line} className="inline-block max-w-full">
                {line}
                {index < lines.length - 1 && <span className="whitespace-pre"> · </span>}
              </span>
            ))}
          </span>
        )}
        {old && <span className="sr-only">not up to date</span>}
      </dd>
      <Sparkline values={nothing ? [] : trend} />
    </div>
  );
}

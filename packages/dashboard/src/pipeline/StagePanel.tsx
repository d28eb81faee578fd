import type { Health } from '../data/health.ts';
import type { Level } from '../data/verdict.ts';
import { Icon } from '../ui/Icon.tsx';
import { Panel } from '../ui/Panel.tsx';
import type { PanelState } from '../ui/panelState.ts';
import { type Stage, stagesOf } from './stages.ts';

const colours: Record<Level, string> = {
  good: 'text-good',
  warning: 'text-warning',
  bad: 'text-bad',
  waiting: 'text-unknown',
  unknown: 'text-unknown',
};

export interface StagePanelProps {
  readonly health: Health | undefined;
  /** When the figures were taken. */
  readonly measured: string | undefined;
  readonly state: PanelState;
  readonly onRetry: () => void;
}

/** An event's way, stage by stage. */
export function StagePanel({ health, measured, state, onRetry }: StagePanelProps) {
  return (
    <Panel
      title="Stages"
      {...(measured !== undefined && { caption: measured })}
      state={state}
      onRetry={onRetry}
      bodyClassName="min-h-40"
    >
      <ol className="grid gap-3 px-4 pb-4 sm:grid-cols-2 xl:grid-cols-4">
        {health !== undefined &&
          stagesOf(health).map((stage, index) => (
            <StageCard key={stage.name} stage={stage} isFirst={index === 0} />
          ))}
      </ol>
    </Panel>
  );
}

function StageCard({ stage, isFirst }: { stage: Stage; isFirst: boolean }) {
  const { name, does, level, word, facts } = stage;
  return (
    <li
      data-stage={name}
      data-level={level}
      className="grid min-w-0 grid-rows-[auto_1fr_auto] gap-2 rounded-md border border-line p-3"
    >
      <div className="flex flex-wrap items-center gap-x-2">
        {!isFirst && <Icon name="arrow" className="size-4 text-muted" />}
        <h3 className="font-semibold text-body">{name}</h3>
        <span className={`ml-auto inline-flex items-center gap-1 font-medium text-small ${colours[level]}`}>
          <Icon name={level} className="size-4" />
          {word}
        </span>
      </div>
      <p className="text-caption text-muted">{does}</p>
      <dl className="grid grid-cols-[auto_1fr] gap-x-3 gap-y-0.5 text-small">
        {facts.map(({ label, value }) => (
          <div key={label} className="contents">
            <dt className="text-muted">{label}</dt>
            <dd className="figure text-right">{value}</dd>
          </div>
        ))}
      </dl>
    </li>
  );
}

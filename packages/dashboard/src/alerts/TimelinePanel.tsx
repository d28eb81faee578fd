import { momentOfDay } from '../data/format.ts';
import type { TimelineEntry } from '../data/incident.ts';
import { Icon, type IconName } from '../ui/Icon.tsx';
import { Panel } from '../ui/Panel.tsx';
import type { PanelState } from '../ui/panelState.ts';
import { Sentence } from '../ui/Sentence.tsx';
import { untilInLocalTime } from './localTime.ts';

const looks: Record<string, { readonly word: string; readonly icon: IconName; readonly colour: string }> = {
  began: { word: 'Began', icon: 'bad', colour: 'text-bad' },
  joined: { word: 'Joined', icon: 'warning', colour: 'text-warning' },
  acknowledged: { word: 'Acknowledged', icon: 'good', colour: 'text-good' },
  silenced: { word: 'Silenced', icon: 'pause', colour: 'text-unknown' },
  unsilenced: { word: 'Heard again', icon: 'play', colour: 'text-unknown' },
  sent: { word: 'Told', icon: 'arrow', colour: 'text-muted' },
  failing: { word: 'Not told yet', icon: 'warning', colour: 'text-warning' },
  refused: { word: 'Refused', icon: 'bad', colour: 'text-bad' },
  resolved: { word: 'Over', icon: 'good', colour: 'text-good' },
  closed: { word: 'Closed', icon: 'good', colour: 'text-good' },
};
const unknown = { word: '', icon: 'unknown', colour: 'text-unknown' } as const;

export interface TimelinePanelProps {
  readonly timeline: readonly TimelineEntry[];
  readonly now: number;
  readonly state: PanelState;
}

export function TimelinePanel({ timeline, now, state }: TimelinePanelProps) {
  return (
    <Panel title="Timeline" state={state} className="xl:row-span-2">
      <ol className="grid gap-2.5 px-4 pb-4">
        {timeline.map(({ at, kind, text, channel, who, note }, index) => {
          const look = looks[kind] ?? { ...unknown, word: kind };
          return (
            <li
              // biome-ignore lint/suspicious/noArrayIndexKey: entries have no id, and only the end grows
              key={index}
              data-kind={kind}
              className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-2 text-small"
            >
              <Icon name={look.icon} className={`mt-0.5 size-4 ${look.colour}`} />
              <div className="min-w-0">
                <span className="font-medium">{look.word}</span>{' '}
                <time dateTime={new Date(at).toISOString()} className="text-caption text-muted">
                  {momentOfDay(at, now)}
                  {who !== null && `, ${who}`}
                  {channel !== null && `, ${channel}`}
                </time>
                <p className="break-words text-muted">
                  <Sentence text={kind === 'silenced' ? untilInLocalTime(text, now) : text} />
                </p>
                {note !== null && note !== '' && <p className="break-words">“{note}”</p>}
              </div>
            </li>
          );
        })}
      </ol>
    </Panel>
  );
}

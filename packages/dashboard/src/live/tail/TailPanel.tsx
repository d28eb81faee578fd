import { memo, useCallback, useEffect, useMemo, useState } from 'react';
import { useFeed } from '../../app/session.ts';
import { useShortcut } from '../../app/shortcuts.ts';
import { Swatch } from '../../chart/Swatch.tsx';
import { useCell } from '../../data/cell.ts';
import type { InferenceEvent } from '../../data/event.ts';
import { count } from '../../data/format.ts';
import { TailFeed } from '../../data/tailFeed.ts';
import { Button } from '../../ui/Button.tsx';
import { Icon } from '../../ui/Icon.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { panelState } from '../../ui/panelState.ts';
import { useOnScreen } from '../../ui/useOnScreen.ts';
import { EventDrawer } from '../event/EventDrawer.tsx';
import { EventLine } from '../event/EventLine.tsx';
import type { ShownModels } from '../shownModels.ts';
import { keptShare } from './keptShare.ts';

export interface TailPanelProps {
  readonly model: string | undefined;
  readonly models: ShownModels;
  readonly className?: string;
}

/** Events as they come. Subscribes only while it is seen and not paused. */
export function TailPanel({ model, models, className = '' }: TailPanelProps) {
  const feed = useFeed();
  const tailFeed = useMemo(() => new TailFeed(feed, model), [feed, model]);
  const tail = useCell(tailFeed.tail);
  const connection = useCell(feed.connection);
  const failures = useCell(feed.failures);
  const [paused, setPaused] = useState(false);
  const [opened, setOpened] = useState<InferenceEvent>();
  const [ref, onScreen] = useOnScreen();
  useShortcut(
    'pauseTail',
    useCallback(() => setPaused((now) => !now), []),
  );
  // An opened event holds the tail: the row that was clicked stays where it was.
  const started = connection.everLive || failures.metrics !== undefined;
  const running = onScreen && !paused && opened === undefined && started;
  useEffect(() => {
    if (!running) return;
    tailFeed.start();
    return () => tailFeed.stop();
  }, [running, tailFeed]);

  const loaded = tail.mode !== 'starting';
  const state = panelState({ connection, loaded, failure: tail.failure, empty: tail.events.length === 0 });
  return (
    <div ref={ref} className={className}>
      <Panel
        title="Live tail"
        caption={captionOf(tail.mode, paused, keptShare(tail.events))}
        state={state}
        empty="No event yet."
        className="xl:sticky xl:top-28"
        bodyClassName="min-h-48"
        actions={
          <Button
            kind="quiet"
            aria-pressed={paused}
            title={paused ? 'Resume (p)' : 'Pause (p)'}
            onClick={() => setPaused(!paused)}
          >
            <Icon name={paused ? 'play' : 'pause'} className="size-3.5" />
            {paused ? 'Resume' : 'Pause'}
          </Button>
        }
      >
        <p className="figure px-4 pb-1 text-caption text-muted" data-not-shown>
          {tail.notShown > 0
            ? `+${count(tail.notShown)} not shown, all of them counted`
            : state.kind === 'live' && 'Every event is shown'}
        </p>
        <ol className="h-112 overflow-y-auto border-line border-t xl:h-[calc(100dvh-13rem)] xl:max-h-[60rem]">
          {tail.events.map((event) => (
            <TailRow key={event.id} event={event} slot={models.slots.get(event.model)} onOpen={setOpened} />
          ))}
        </ol>
      </Panel>
      {opened !== undefined && <EventDrawer event={opened} onClose={() => setOpened(undefined)} />}
    </div>
  );
}

interface TailRowProps {
  readonly event: InferenceEvent;
  readonly slot: number | undefined;
  readonly onOpen: (event: InferenceEvent) => void;
}

const TailRow = memo(function TailRow({ event, slot, onOpen }: TailRowProps) {
  return (
    <li>
      <button
        type="button"
        onClick={() => onOpen(event)}
        className="flex w-full items-center gap-2 px-4 py-1 text-left text-caption hover:bg-raised focus-visible:outline-offset-[-2px]"
      >
        {slot === undefined ? <span className="w-4.5 shrink-0" /> : <Swatch slot={slot} />}
        <EventLine event={event} isNarrow />
      </button>
    </li>
  );
});

function captionOf(mode: string, paused: boolean, share: string | undefined): string {
  const pace = mode === 'sample' ? 'a sample, each second' : 'as they come';
  const state = paused ? 'paused' : pace;
  return share === undefined ? state : `${state}; ${share}`;
}

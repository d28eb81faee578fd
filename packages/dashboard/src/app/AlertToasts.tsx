import { useEffect, useState } from 'react';
import type { Alert } from '../data/alerts.ts';
import { useCell } from '../data/cell.ts';
import { Button } from '../ui/Button.tsx';
import { Icon } from '../ui/Icon.tsx';
import { notify } from './notify.ts';
import { PageLink } from './PageLink.tsx';
import { useFeed } from './session.ts';

const shownAtOnce = 3;

/** What an alert belongs to: two alerts of one incident are one piece of news. */
function newsOf({ incidentId, id }: Alert): string {
  return incidentId === null ? `alert ${id}` : `incident ${incidentId}`;
}

/**
 * Critical alerts that begin while this tab is open, on every view, once: what was open before is on the page already.
 * Each tab shows its own; the browser's notification has a tag, so that several tabs make one.
 */
export function AlertToasts() {
  const feed = useFeed();
  const { alerts } = useCell(feed.data);
  const [told, setTold] = useState<{ readonly feedId: number; readonly news: ReadonlySet<string> }>();
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const critical = (alerts ?? []).filter(
    (alert) => alert.severity === 'critical' && alert.firing && !alert.silenced,
  );
  useEffect(() => {
    if (alerts === undefined) return;
    if (told?.feedId !== feed.id) {
      const before = critical.filter(({ id }) => !feed.hasBegunMeanwhile(id));
      const news = new Set(before.map(newsOf));
      setTold({ feedId: feed.id, news });
      setClosed(news);
      return;
    }
    const fresh = firstOfEach(critical.filter((alert) => !told.news.has(newsOf(alert))));
    if (fresh.size === 0) return;
    setTold({ ...told, news: new Set([...told.news, ...fresh.keys()]) });
    for (const [news, alert] of fresh) notify(news, alert.message, pathOf(alert));
  }, [alerts, critical, told, feed]);

  const byNews = firstOfEach(
    critical.filter((alert) => {
      const news = newsOf(alert);
      return !alert.acknowledged && told?.news.has(news) && !closed.has(news);
    }),
  );
  const shown = [...byNews].slice(0, shownAtOnce);
  const close = (news: readonly string[]) => setClosed(new Set([...closed, ...news]));
  return (
    <div
      role="alert"
      className="pointer-events-none fixed inset-x-4 bottom-4 z-40 grid justify-items-end gap-2 sm:left-auto sm:w-96"
    >
      {shown.map(([news, alert]) => (
        <div
          key={news}
          data-toast={news}
          className="pointer-events-auto grid w-full gap-2 rounded-panel border border-bad/60 bg-surface p-3 shadow-lg"
        >
          <p className="flex items-start gap-2">
            <Icon name="bad" className="mt-0.5 size-5 text-bad" />
            <span className="min-w-0 break-words">
              <span className="font-semibold text-bad">Critical. </span>
              {alert.message}
            </span>
          </p>
          <div className="flex items-center gap-3 pl-7 text-small">
            <PageLink path={pathOf(alert)} onFollow={() => close([news])}>
              What and why
            </PageLink>
            <Button kind="quiet" onClick={() => close([news])}>
              Dismiss
            </Button>
          </div>
        </div>
      ))}
      {byNews.size > shownAtOnce && (
        <div className="pointer-events-auto flex items-center gap-3 rounded-panel border border-line bg-surface px-3 py-2 text-small shadow-lg">
          <PageLink path="/alerts">and {byNews.size - shownAtOnce} more</PageLink>
          <Button kind="quiet" onClick={() => close([...byNews.keys()])}>
            Dismiss all
          </Button>
        </div>
      )}
    </div>
  );
}

/** News by their first alerts: what is read must not change under the eye. */
function firstOfEach(alerts: readonly Alert[]): ReadonlyMap<string, Alert> {
  const firsts = new Map<string, Alert>();
  for (const alert of [...alerts].sort((a, b) => a.id - b.id)) {
    if (!firsts.has(newsOf(alert))) firsts.set(newsOf(alert), alert);
  }
  return firsts;
}

function pathOf({ incidentId }: Alert): string {
  return incidentId === null ? '/alerts' : `/alerts/${incidentId}`;
}

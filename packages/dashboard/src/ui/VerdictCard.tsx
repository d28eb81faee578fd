import { Children, type ReactNode, useEffect } from 'react';
import type { Level } from '../data/verdict.ts';
import { Icon } from './Icon.tsx';

const looks: Record<Level, { readonly badge: string; readonly panel: string; readonly word: string }> = {
  good: { badge: 'bg-good-soft text-good', panel: 'border-line', word: 'Working' },
  warning: { badge: 'bg-warning-soft text-warning', panel: 'border-warning/50', word: 'Attention' },
  bad: { badge: 'bg-bad-soft text-bad', panel: 'border-bad/60', word: 'Problem' },
  waiting: { badge: 'bg-unknown-soft text-unknown', panel: 'border-line', word: 'Waiting' },
  unknown: { badge: 'bg-unknown-soft text-unknown', panel: 'border-line', word: 'Unknown' },
};

export interface VerdictCardProps {
  /** The question that the sentence answers. */
  readonly label: string;
  readonly level: Level;
  readonly sentence: string;
  readonly aside: ReactNode;
  /** Reasons, each an `li`. */
  readonly children: ReactNode;
}

/** A view's one sentence, with its reasons. It is the window's title too. */
export function VerdictCard({ label, level, sentence, aside, children }: VerdictCardProps) {
  const look = looks[level];
  useTitle(look.word, sentence);
  return (
    <section
      aria-label={label}
      data-level={level}
      className={`flex flex-wrap items-start gap-x-8 gap-y-4 rounded-panel border bg-surface p-4 sm:p-5 ${look.panel}`}
    >
      <div className="min-w-0 flex-1 basis-80">
        <div className="flex items-start gap-3">
          <span className={`mt-0.5 grid size-8 shrink-0 place-items-center rounded-full ${look.badge}`}>
            <Icon name={level} className="size-5" />
          </span>
          {/* The one thing on the page that is announced; what ticks stands outside of it. */}
          <div role="status" aria-live="polite">
            <h1 className="text-balance font-semibold text-verdict tracking-tight">{sentence}</h1>
          </div>
        </div>
        {Children.count(children) > 0 && <ul className="mt-3 grid gap-2 sm:pl-11">{children}</ul>}
      </div>
      {aside}
    </section>
  );
}

/** For the tab that is in the background. */
function useTitle(word: string, sentence: string): void {
  useEffect(() => {
    document.title = `${word}: ${sentence} Nowcast`;
  }, [word, sentence]);
}

import { type ReactNode, useId } from 'react';
import { timeWithSeconds } from '../data/format.ts';
import { Button } from './Button.tsx';
import { isEmpty, isOld, type PanelState } from './panelState.ts';

export interface PanelProps {
  readonly title: string;
  /** The window and unit of what is shown. */
  readonly caption?: string;
  readonly state: PanelState;
  readonly empty?: ReactNode;
  readonly actions?: ReactNode;
  readonly onRetry?: (() => void) | undefined;
  readonly className?: string;
  /** Space that the body takes in every state, so that nothing jumps when data come. */
  readonly bodyClassName?: string;
  readonly children: ReactNode;
}

/** A titled piece of the page, in one of the states that DESIGN.md lists. */
export function Panel(props: PanelProps) {
  const {
    title,
    caption,
    state,
    empty,
    actions,
    onRetry,
    className = '',
    bodyClassName = '',
    children,
  } = props;
  const id = useId();
  const old = isOld(state);
  const nothing = state.kind === 'error' && !state.older;
  const none = isEmpty(state);
  return (
    <section
      aria-labelledby={id}
      data-panel={title}
      data-state={state.kind}
      // Old figures stand in a hollow, dashed panel. Fading them would take their contrast.
      className={`relative flex min-w-0 flex-col rounded-panel border ${old ? 'border-line-strong border-dashed [--panel:var(--canvas)]' : 'border-line [--panel:var(--surface)]'} bg-(--panel) ${className}`}
    >
      <header className="flex flex-wrap items-center gap-x-3 gap-y-1 px-4 pt-3 pb-2">
        <h2 id={id} className="font-semibold text-body leading-7">
          {title}
        </h2>
        {caption !== undefined && <span className="text-caption text-muted">{caption}</span>}
        <StateNote state={state} />
        {actions !== undefined && <div className="ml-auto flex items-center gap-1">{actions}</div>}
      </header>
      <div className={`relative min-w-0 flex-1 ${bodyClassName}`}>
        {state.kind === 'loading' && <Skeleton />}
        {none && <Note>{empty ?? 'Nothing in this window.'}</Note>}
        {state.kind === 'error' && (
          <div className="flex flex-wrap items-center gap-3 px-4 pb-3 text-bad text-small">
            <span>Could not load: {sentence(state.message)} Trying again.</span>
            {onRetry !== undefined && <Button onClick={onRetry}>Try now</Button>}
          </div>
        )}
        {(state.kind === 'live' || (old && !nothing && !none)) && children}
      </div>
    </section>
  );
}

/** Whether and since when what is shown may be old, on the border of the panel. */
export function StateNote({ state }: { state: PanelState }) {
  const text = noteOf(state);
  if (text === undefined) return null;
  return (
    <span className="-translate-y-1/2 absolute top-0 right-4 rounded-full bg-unknown-soft px-2 text-caption text-unknown">
      {/* It sits on the border: a header that grows would push the figures about. */}
      {state.kind === 'disconnected' && <span className="sr-only">Disconnected. </span>}
      {text}
    </span>
  );
}

function noteOf(state: PanelState): string | undefined {
  if (state.kind === 'stale') return 'Catching up';
  if (state.kind !== 'disconnected') return undefined;
  return state.asOf === undefined ? 'Disconnected' : `As of ${timeWithSeconds(state.asOf)}`;
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

function Note({ children }: { children: ReactNode }) {
  // In the middle of a body whose height is kept for a chart.
  return <div className="m-auto px-4 pb-4 text-muted text-small">{children}</div>;
}

function Skeleton() {
  return (
    <div className="px-4 pb-4" role="presentation">
      <span className="sr-only">Loading</span>
      <div className="h-16 w-full rounded-md bg-raised motion-safe:animate-pulse" />
    </div>
  );
}

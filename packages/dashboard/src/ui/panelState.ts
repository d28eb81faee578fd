import { type Connection, isCutOff } from '../data/connection.ts';
import type { LoadError } from '../data/queries.ts';

/** Each panel is in one of these at any time, says which, and never shows old figures as new ones. */
export type PanelState =
  | { readonly kind: 'loading' }
  | { readonly kind: 'empty' }
  | { readonly kind: 'live' }
  /** Connected again or awake again; what was missed is being loaded. */
  | { readonly kind: 'stale'; readonly asOf: number | undefined; readonly empty: boolean }
  | { readonly kind: 'disconnected'; readonly asOf: number | undefined; readonly empty: boolean }
  /** `older`: what was loaded before is still there. */
  | { readonly kind: 'error'; readonly message: string; readonly older: boolean };

export interface PanelFacts {
  readonly connection: Connection;
  readonly loaded: boolean;
  readonly failure: LoadError | undefined;
  readonly empty: boolean;
}

export function panelState({ connection, loaded, failure, empty }: PanelFacts): PanelState {
  const { phase, currentUntil, opening } = connection;
  const gone = isCutOff(connection);
  if (gone && loaded) return { kind: 'disconnected', asOf: currentUntil, empty };
  if (failure !== undefined) return { kind: 'error', message: failure.message, older: loaded };
  if (!loaded) return gone ? { kind: 'disconnected', asOf: undefined, empty: false } : { kind: 'loading' };
  // Subscribed and then loaded is as good as live; before that nothing would follow what was loaded.
  if (opening && phase === 'connecting') return { kind: 'loading' };
  if (phase !== 'live' && !opening) return { kind: 'stale', asOf: currentUntil, empty };
  return { kind: empty ? 'empty' : 'live' };
}

/** Whether what is shown may be old. */
export function isOld({ kind }: PanelState): boolean {
  return kind === 'stale' || kind === 'disconnected' || kind === 'error';
}

/** Whether what was loaded is nothing. */
export function isEmpty(state: PanelState): boolean {
  return 'empty' in state ? state.empty : state.kind === 'empty';
}

/** Of a panel that shows none of what was loaded. */
export function emptied(state: PanelState): PanelState {
  if (state.kind === 'live') return { kind: 'empty' };
  return state.kind === 'stale' || state.kind === 'disconnected' ? { ...state, empty: true } : state;
}

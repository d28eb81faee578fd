import { Cell, useCell } from '../data/cell.ts';

/** Where the page is. Every view, range and selection has a URL, so that a link says what was seen. */
export interface Place {
  readonly path: string;
  readonly params: URLSearchParams;
}

const place = new Cell<Place>(read());
window.addEventListener('popstate', () => place.set(read()));

export function usePlace(): Place {
  return useCell(place);
}

export interface Step {
  readonly path?: string;
  /** null removes a parameter; those that are not named stay on the same path. */
  readonly params?: Readonly<Record<string, string | null>>;
}

/** What views share: whoever looks at one model goes on looking at it. */
const shared = ['range', 'model'];

export function hrefOf({ path, params = {} }: Step, from: Place = place.get()): string {
  const isOther = path !== undefined && path !== from.path;
  const next = new URLSearchParams(
    isOther ? [...from.params].filter(([name]) => shared.includes(name)) : from.params,
  );
  for (const [name, value] of Object.entries(params)) {
    if (value === null) next.delete(name);
    else next.set(name, value);
  }
  const query = next.toString();
  return (path ?? from.path) + (query === '' ? '' : `?${query}`);
}

/** `replace` for what a person would not want to walk back through. */
export function go(step: Step, { replace = false } = {}): void {
  const href = hrefOf(step);
  if (href === place.get().path + location.search) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', href);
  place.set(read());
}

function read(): Place {
  return { path: location.pathname, params: new URLSearchParams(location.search) };
}

import { Cell } from '../data/cell.ts';

/** Kept under the same name by applyTheme.js, which runs before the first paint. */
const storageName = 'nowcast.theme';

export type Theme = 'system' | 'light' | 'dark';
const order: readonly Theme[] = ['system', 'light', 'dark'];

export const theme = new Cell<Theme>(read());

export function nextTheme(): void {
  const next = order[(order.indexOf(theme.get()) + 1) % order.length]!;
  theme.set(next);
  if (next === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem(storageName, next);
  } catch {
    // Storage is refused in some private windows: the choice then lives as long as the page.
  }
}

function read(): Theme {
  const applied = document.documentElement.dataset.theme;
  return applied === 'light' || applied === 'dark' ? applied : 'system';
}

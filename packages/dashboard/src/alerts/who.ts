import { Cell } from '../data/cell.ts';

/** Who acknowledges and silences on this browser: it stands in the timeline and in messages. */

const storageName = 'nowcast.name';

export const who = new Cell(read());

export function setWho(name: string): void {
  who.set(name);
  try {
    localStorage.setItem(storageName, name);
  } catch {
    // Storage is refused in some private windows: the name then lives as long as the page.
  }
}

/** What is written where nobody gave a name. */
export function signature(): string {
  return who.get().trim() || 'somebody at the page';
}

function read(): string {
  try {
    return localStorage.getItem(storageName) ?? '';
  } catch {
    return '';
  }
}

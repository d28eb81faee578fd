import { useEffect } from 'react';
import { Cell } from '../data/cell.ts';

/**
 * Single keys, for those who live on this page. They can be switched off (WCAG 2.1.4: speech input types them by
 * accident), and never act while something is being typed or a dialog is open.
 */
export interface Shortcut {
  readonly key: string;
  readonly does: string;
}

export const shortcuts = {
  help: { key: '?', does: 'Show or hide this list' },
  range1: { key: '1', does: 'Last hour' },
  range2: { key: '2', does: 'Last 6 hours' },
  range3: { key: '3', does: 'Last 24 hours' },
  range4: { key: '4', does: 'Last 7 days' },
  allModels: { key: '0', does: 'All model versions' },
  nextModel: { key: 'n', does: 'Next model version' },
  pauseTail: { key: 'p', does: 'Pause or resume the live tail' },
  theme: { key: 't', does: 'Next theme: system, light, dark' },
} as const satisfies Record<string, Shortcut>;

export type ShortcutName = keyof typeof shortcuts;

const storageName = 'nowcast.shortcuts';
export const shortcutsOn = new Cell(readSetting());

export function setShortcutsOn(on: boolean): void {
  shortcutsOn.set(on);
  try {
    localStorage.setItem(storageName, on ? 'on' : 'off');
  } catch {
    // Storage is refused in some private windows.
  }
}

/** Runs `act` when the shortcut's key is pressed while the caller is on the page. */
export function useShortcut(name: ShortcutName, act: () => void): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.key !== shortcuts[name].key || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.defaultPrevented || isTyping(event.target)) return;
      // The list itself must close by the key that opened it; everything else waits behind a dialog.
      if (name !== 'help' && (!shortcutsOn.get() || document.querySelector('[role="dialog"]') !== null))
        return;
      event.preventDefault();
      act();
    };
    document.addEventListener('keydown', pressed);
    return () => document.removeEventListener('keydown', pressed);
  }, [name, act]);
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && target.closest('input, textarea, select, [contenteditable]') !== null
  );
}

function readSetting(): boolean {
  try {
    return localStorage.getItem(storageName) !== 'off';
  } catch {
    return true;
  }
}

import { Cell } from '../data/cell.ts';
import { go } from './router.ts';

/** Notifications of the browser, where the person allowed them. */

export type NotifyState = 'ask' | 'on' | 'refused' | 'impossible';

export const notifyState = new Cell<NotifyState>(read());

export async function askToNotify(): Promise<void> {
  await Notification.requestPermission();
  notifyState.set(read());
}

/** @param tag the same news under the same tag: a browser with several tabs shows it once */
export function notify(tag: string, text: string, path: string): void {
  if (notifyState.get() !== 'on') return;
  try {
    const notification = new Notification('Nowcast: critical alert', { tag: `nowcast ${tag}`, body: text });
    notification.onclick = () => {
      window.focus();
      go({ path });
      notification.close();
    };
  } catch {
    // Some phones allow them to service workers alone: the toast is there.
    notifyState.set('impossible');
  }
}

function read(): NotifyState {
  if (!('Notification' in window) || !window.isSecureContext) return 'impossible';
  if (Notification.permission === 'granted') return 'on';
  return Notification.permission === 'denied' ? 'refused' : 'ask';
}

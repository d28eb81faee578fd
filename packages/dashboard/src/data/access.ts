/** The key of this browser: asked for once, or taken from `#key=…`, and kept. */

const storageName = 'nowcast.key';
/** supabase-js insists on a key; a server without keys takes any. */
const anyKey = 'local';

let kept: string | undefined;

export function readKey(): string {
  if (kept !== undefined) return kept;
  try {
    kept = localStorage.getItem(storageName) ?? anyKey;
  } catch {
    // Storage is refused in some private windows: the key then lives as long as the page.
    kept = anyKey;
  }
  return kept;
}

export function keepKey(key: string): void {
  kept = key;
  try {
    localStorage.setItem(storageName, key);
  } catch {
    // As above.
  }
}

/** A link may bring the key after `#`, which browsers never send; it leaves the address bar at once. */
export function takeKeyFromUrl(): void {
  const key = new URLSearchParams(location.hash.slice(1)).get('key');
  if (key === null) return;
  if (key !== '') keepKey(key);
  history.replaceState(history.state, '', location.pathname + location.search);
}

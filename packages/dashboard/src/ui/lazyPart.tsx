import { type ComponentType, lazy } from 'react';
import { Button } from './Button.tsx';

/**
 * A part that is loaded when it is first needed. Where that fails the server has most likely been updated under the
 * open page and has other files by now: then the part says so in its own place, and the rest goes on.
 */
export function lazyPart<P extends object>(load: () => Promise<{ default: ComponentType<P> }>) {
  return lazy<ComponentType<P>>(() => load().catch(() => ({ default: Missing })));
}

function Missing() {
  return (
    <p
      role="alert"
      className="fixed inset-x-4 bottom-4 z-50 flex flex-wrap items-center gap-3 rounded-md border border-line bg-surface p-4 shadow-lg"
    >
      A part of this page could not be loaded; the server may have been updated.
      <Button onClick={() => location.reload()}>Reload the page</Button>
    </p>
  );
}

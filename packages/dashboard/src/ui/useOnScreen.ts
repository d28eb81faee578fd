import { type RefCallback, useCallback, useEffect, useState } from 'react';

/** Begins a little before it is seen, so that scrolling finds it ready. */
const rootMargin = '200px';

/** Whether the element that gets the ref is on a visible screen. */
export function useOnScreen(): readonly [RefCallback<Element>, boolean] {
  const [near, setNear] = useState(false);
  const [shown, setShown] = useState(document.visibilityState === 'visible');
  // A callback, since the element may come later than the component.
  const ref = useCallback((element: Element | null) => {
    if (element === null) return;
    const observer = new IntersectionObserver((entries) => setNear(entries.at(-1)!.isIntersecting), {
      rootMargin,
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    const changed = () => setShown(document.visibilityState === 'visible');
    document.addEventListener('visibilitychange', changed);
    return () => document.removeEventListener('visibilitychange', changed);
  }, []);
  return [ref, near && shown];
}

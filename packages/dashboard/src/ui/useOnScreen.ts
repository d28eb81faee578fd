import { type RefObject, useEffect, useRef, useState } from 'react';

/** Begins a little before it is seen, so that scrolling finds it ready. */
const rootMargin = '200px';

/** Whether the element is on a visible screen. */
export function useOnScreen<E extends Element>(): readonly [RefObject<E | null>, boolean] {
  const ref = useRef<E>(null);
  const [near, setNear] = useState(false);
  const [shown, setShown] = useState(document.visibilityState === 'visible');
  useEffect(() => {
    const observer = new IntersectionObserver((entries) => setNear(entries.at(-1)!.isIntersecting), {
      rootMargin,
    });
    if (ref.current !== null) observer.observe(ref.current);
    const changed = () => setShown(document.visibilityState === 'visible');
    document.addEventListener('visibilitychange', changed);
    return () => {
      observer.disconnect();
      document.removeEventListener('visibilitychange', changed);
    };
  }, []);
  return [ref, near && shown];
}

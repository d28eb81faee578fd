import { type ReactNode, Suspense } from 'react';
import { lazyPart } from './lazyPart.tsx';

const DrawerDialog = lazyPart(() => import('./DrawerDialog.tsx'));

export interface DrawerProps {
  readonly onClose: () => void;
  readonly title: string;
  readonly description?: string;
  /** `side` for detail beside the page, `middle` for a short question. */
  readonly place?: 'side' | 'middle';
  readonly children: ReactNode;
}

/** A dialog. It is loaded when the first one opens, and there while it is rendered. */
export function Drawer(props: DrawerProps) {
  return (
    <Suspense fallback={null}>
      <DrawerDialog {...props} />
    </Suspense>
  );
}

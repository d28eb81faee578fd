import type { ReactNode } from 'react';
import { buttonClass } from '../ui/Button.tsx';
import { PageLink } from './PageLink.tsx';

/** A link that looks like the buttons beside it. */
export function ButtonLink({ path, children }: { path: string; children: ReactNode }) {
  return (
    <PageLink path={path} className={buttonClass('plain')}>
      {children}
    </PageLink>
  );
}

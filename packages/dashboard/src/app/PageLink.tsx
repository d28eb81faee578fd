import type { ReactNode } from 'react';
import { go, hrefOf } from './router.ts';

export interface PageLinkProps {
  readonly path: string;
  readonly params?: Readonly<Record<string, string | null>>;
  readonly className?: string;
  readonly isCurrent?: boolean;
  readonly onFollow?: () => void;
  readonly children: ReactNode;
}

/** A link inside the page: a new tab opens as from any link, a plain click loads nothing. */
export function PageLink({ path, params = {}, className, isCurrent, onFollow, children }: PageLinkProps) {
  return (
    <a
      href={hrefOf({ path, params })}
      aria-current={isCurrent ? 'page' : undefined}
      className={className ?? 'text-accent underline underline-offset-2'}
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        onFollow?.();
        go({ path, params });
      }}
    >
      {children}
    </a>
  );
}

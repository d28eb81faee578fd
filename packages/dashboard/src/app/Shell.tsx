import { type ReactNode, useCallback, useState } from 'react';
import icon from '../icon.svg';
import { Button } from '../ui/Button.tsx';
import { AlertToasts } from './AlertToasts.tsx';
import { ConnectionBadge } from './ConnectionBadge.tsx';
import { PageLink } from './PageLink.tsx';
import { usePlace } from './router.ts';
import { ShortcutsDialog } from './ShortcutsDialog.tsx';
import { useShortcut } from './shortcuts.ts';
import { ThemeButton } from './ThemeButton.tsx';
import { nextTheme } from './theme.ts';
import { viewAt, views } from './views.ts';

/** What stands around every view. */
export function Shell({ children }: { children: ReactNode }) {
  const { path } = usePlace();
  const [helpOpen, setHelpOpen] = useState(false);
  useShortcut(
    'help',
    useCallback(() => setHelpOpen((open) => !open), []),
  );
  useShortcut('theme', nextTheme);
  return (
    <div className="min-h-dvh">
      <a
        href="#content"
        className="sr-only focus:not-sr-only focus:fixed focus:top-2 focus:left-2 focus:z-50 focus:rounded-md focus:bg-surface focus:px-3 focus:py-2"
      >
        Skip to the content
      </a>
      <header className="sticky top-0 z-30 border-line border-b bg-canvas/90 backdrop-blur">
        <div className="mx-auto flex h-12 max-w-[100rem] items-center gap-2 px-4 sm:gap-4 sm:px-6">
          <span className="flex shrink-0 items-center gap-2 font-semibold">
            <img src={icon} alt="" className="size-6 max-[23.4rem]:hidden" />
            <span className="max-sm:sr-only">Nowcast</span>
          </span>
          {/* What a narrow screen has no room for scrolls inside. */}
          <nav aria-label="Views" className="min-w-0 overflow-x-auto">
            <ul className="flex sm:gap-1">
              {views.map((view) => (
                <li key={view.path}>
                  <PageLink
                    path={view.path}
                    isCurrent={view === viewAt(path)}
                    className="block rounded-md px-1 py-1 font-medium text-muted text-small hover:text-text aria-[current]:bg-raised aria-[current]:text-text sm:px-2.5"
                  >
                    {view.title}
                  </PageLink>
                </li>
              ))}
            </ul>
          </nav>
          <div className="ml-auto flex shrink-0 items-center sm:gap-1">
            <ConnectionBadge />
            <ThemeButton />
            <Button
              kind="quiet"
              className="max-sm:hidden"
              aria-label="Keyboard shortcuts"
              title="Keyboard shortcuts (?)"
              onClick={() => setHelpOpen(true)}
            >
              ?
            </Button>
          </div>
        </div>
      </header>
      <main
        id="content"
        tabIndex={-1}
        className="mx-auto max-w-[100rem] px-4 pt-6 pb-16 outline-none sm:px-6"
      >
        {children}
      </main>
      <AlertToasts />
      {helpOpen && <ShortcutsDialog onClose={() => setHelpOpen(false)} />}
    </div>
  );
}

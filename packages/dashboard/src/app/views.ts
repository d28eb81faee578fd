import type { ComponentType } from 'react';
import { LivePage } from '../live/LivePage.tsx';
import { lazyPart } from '../ui/lazyPart.tsx';

export interface View {
  readonly path: string;
  /** In the navigation and the window's title. */
  readonly title: string;
  readonly Page: ComponentType;
  /** What lies below its path is its own too. */
  readonly hasParts?: boolean;
}

/** A view is one line here. Those that are not needed at once are loaded when they are opened: use React.lazy. */
export const views: readonly View[] = [
  { path: '/', title: 'Live', Page: LivePage },
  {
    path: '/alerts',
    title: 'Alerts',
    Page: lazyPart(() => import('../alerts/AlertsPage.tsx')),
    hasParts: true,
  },
  { path: '/history', title: 'History', Page: lazyPart(() => import('../history/HistoryPage.tsx')) },
  {
    path: '/pipeline',
    title: 'Pipeline',
    Page: lazyPart(() => import('../pipeline/PipelinePage.tsx')),
  },
];

export function viewAt(path: string): View | undefined {
  return views.find((view) => view.path === path || (view.hasParts && path.startsWith(`${view.path}/`)));
}

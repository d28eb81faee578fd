import type { ComponentType } from 'react';
import { LivePage } from '../live/LivePage.tsx';
import { lazyPart } from '../ui/lazyPart.tsx';

export interface View {
  readonly path: string;
  /** In the navigation and the window's title. */
  readonly title: string;
  readonly Page: ComponentType;
}

/** A view is one line here. Those that are not needed at once are loaded when they are opened: use React.lazy. */
export const views: readonly View[] = [
  { path: '/', title: 'Live', Page: LivePage },
  { path: '/history', title: 'History', Page: lazyPart(() => import('../history/HistoryPage.tsx')) },
  {
    path: '/pipeline',
    title: 'Pipeline',
    Page: lazyPart(() => import('../pipeline/PipelinePage.tsx')),
  },
];

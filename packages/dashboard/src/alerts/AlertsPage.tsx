import { usePlace } from '../app/router.ts';
import { IncidentPage } from './IncidentPage.tsx';
import { NoticeBar } from './NoticeBar.tsx';
import { Overview } from './Overview.tsx';

/** What is wrong, who knows, and what counts as wrong. */
export default function AlertsPage() {
  const { path } = usePlace();
  const id = /^\/alerts\/(\d+)$/.exec(path)?.[1];
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-3">
      <NoticeBar />
      {id === undefined ? <Overview /> : <IncidentPage key={id} id={Number(id)} />}
    </div>
  );
}

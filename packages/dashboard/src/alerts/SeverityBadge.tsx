import type { Severity } from '../data/incident.ts';
import { Icon } from '../ui/Icon.tsx';

export function SeverityBadge({ severity, over }: { severity: Severity; over: boolean }) {
  const critical = severity === 'critical';
  const colour = over ? 'text-muted' : critical ? 'text-bad' : 'text-warning';
  return (
    <span className={`inline-flex items-center gap-1.5 font-semibold text-small ${colour}`}>
      <Icon name={over ? 'good' : critical ? 'bad' : 'warning'} className="size-4" />
      {critical ? 'Critical' : 'Warning'}
      {over && ', over'}
    </span>
  );
}

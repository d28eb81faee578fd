import { useCallback, useState } from 'react';
import { loadRules, saveRule } from '../data/alertQueries.ts';
import type { AlertRule } from '../data/alertRule.ts';
import type { LiveFeed } from '../data/liveFeed.ts';
import { Button } from '../ui/Button.tsx';
import { FigureTable } from '../ui/FigureTable.tsx';
import { Panel } from '../ui/Panel.tsx';
import { RuleDrawer } from './RuleDrawer.tsx';
import { newRule } from './ruleForm.ts';
import { ruleInWords } from './ruleInWords.ts';
import { useAlertLoad } from './useAlertLoad.ts';
import { useChange } from './useChange.tsx';

const sources: Record<string, string> = {
  default: 'as delivered',
  config: 'nowcast.config.ts',
  user: 'changed here or by SQL',
};

/** What counts as trouble. */
export function RulePanel() {
  const { value, state, reload } = useAlertLoad(
    'alert_rules',
    useCallback(({ client }: LiveFeed) => loadRules(client), []),
  );
  const [edited, setEdited] = useState<{ readonly rule: AlertRule; readonly isNew: boolean }>();
  const switching = useChange('Switching a rule');
  const toggle = (rule: AlertRule) =>
    switching.run(async (client) => {
      await saveRule(client, { ...rule, enabled: !rule.enabled }, false);
      return {
        text: `${rule.name} is ${rule.enabled ? 'off' : 'on'}.`,
        undo: (client) => saveRule(client, rule, false),
      };
    });
  return (
    <>
      <Panel
        title="Rules"
        {...(value !== undefined && {
          caption: `${value.filter(({ enabled }) => enabled).length} of ${value.length} are on`,
        })}
        state={state}
        onRetry={reload}
        actions={<Button onClick={() => setEdited({ rule: newRule, isNew: true })}>New threshold</Button>}
      >
        <FigureTable
          label="Rules"
          rowTitle="Rule"
          rows={value ?? []}
          keyOf={({ name }) => name}
          head={(rule) => (
            <button
              type="button"
              className="block max-w-full truncate text-left text-accent underline underline-offset-2"
              onClick={() => setEdited({ rule, isNew: false })}
            >
              {rule.name}
            </button>
          )}
          columns={[
            {
              title: 'On',
              isText: true,
              window: '',
              cell: (rule) => (
                <input
                  type="checkbox"
                  checked={rule.enabled}
                  disabled={switching.busy}
                  aria-label={`${rule.name} is on`}
                  onChange={() => toggle(rule)}
                  className="size-4 align-middle accent-accent"
                />
              ),
            },
            {
              title: 'Severity',
              isText: true,
              window: '',
              cell: ({ severity }) => (
                <span className={severity === 'critical' ? 'font-semibold text-bad' : ''}>{severity}</span>
              ),
            },
            {
              title: 'Fires when',
              isText: true,
              window: '',
              cell: (rule) => <span className="block min-w-72 whitespace-normal">{ruleInWords(rule)}</span>,
            },
            { title: 'From', isText: true, window: '', cell: ({ source }) => sources[source] ?? source },
          ]}
        />
      </Panel>
      {edited !== undefined && (
        <RuleDrawer
          key={edited.rule.name}
          rule={edited.rule}
          isNew={edited.isNew}
          onClose={() => setEdited(undefined)}
        />
      )}
      {switching.dialog}
    </>
  );
}

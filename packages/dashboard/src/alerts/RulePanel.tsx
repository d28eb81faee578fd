import { useCallback, useState } from 'react';
import { loadRules, saveRule } from '../data/alertQueries.ts';
import type { AlertRule } from '../data/alertRule.ts';
import type { LiveFeed } from '../data/liveFeed.ts';
import { Button } from '../ui/Button.tsx';
import { Panel } from '../ui/Panel.tsx';
import { Sentence } from '../ui/Sentence.tsx';
import { RuleDrawer } from './RuleDrawer.tsx';
import { newRule } from './ruleForm.ts';
import { ruleInWords } from './ruleInWords.ts';
import { useAlertLoad } from './useAlertLoad.ts';
import { useChange } from './useChange.tsx';

const sources: Record<string, string> = {
  default: 'default',
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
        <ul>
          {(value ?? []).map((rule) => (
            <RuleLine
              key={rule.name}
              rule={rule}
              isBusy={switching.busy}
              onToggle={() => toggle(rule)}
              onOpen={() => setEdited({ rule, isNew: false })}
            />
          ))}
        </ul>
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

interface RuleLineProps {
  readonly rule: AlertRule;
  readonly isBusy: boolean;
  readonly onToggle: () => void;
  readonly onOpen: () => void;
}

/** Columns where there is room for them, lines below each other where there is not. */
function RuleLine({ rule, isBusy, onToggle, onOpen }: RuleLineProps) {
  const { name, enabled, severity, source } = rule;
  return (
    <li
      data-row={name}
      className="grid grid-cols-[auto_minmax(0,1fr)_auto] items-baseline gap-x-3 gap-y-0.5 border-line border-t px-4 py-2 text-small hover:bg-raised md:grid-cols-[auto_minmax(0,10rem)_4rem_minmax(0,1fr)_auto] md:py-1.5"
    >
      <input
        type="checkbox"
        checked={enabled}
        disabled={isBusy}
        aria-label={`${name} is on`}
        onChange={onToggle}
        className="mt-0.5 size-4 self-start accent-accent"
      />
      <button
        type="button"
        className="justify-self-start break-all text-left font-medium text-accent underline-offset-2 hover:underline"
        onClick={onOpen}
      >
        {name}
      </button>
      <span className={severity === 'critical' ? 'font-semibold text-bad' : ''}>{severity}</span>
      <span
        className={`min-w-0 break-words max-md:col-span-2 max-md:col-start-2 ${enabled ? '' : 'text-muted'}`}
      >
        <Sentence text={ruleInWords(rule)} />
      </span>
      <span
        className={`text-caption text-muted ${source === 'default' ? 'max-md:hidden' : 'max-md:col-span-2 max-md:col-start-2'}`}
      >
        {sources[source] ?? source}
      </span>
    </li>
  );
}

import { useState } from 'react';
import { deleteRule, saveRule } from '../data/alertQueries.ts';
import type { AlertRule } from '../data/alertRule.ts';
import { Button } from '../ui/Button.tsx';
import { Drawer } from '../ui/Drawer.tsx';
import { ChoiceField, TextField } from './fields.tsx';
import { Preview } from './Preview.tsx';
import { fieldIn, fieldsOf, formOf, ruleOf } from './ruleForm.ts';
import { useChange } from './useChange.tsx';

export interface RuleDrawerProps {
  readonly rule: AlertRule;
  readonly isNew: boolean;
  readonly onClose: () => void;
}

export function RuleDrawer({ rule, isNew, onClose }: RuleDrawerProps) {
  const [values, setValues] = useState(formOf(rule).values);
  const [problem, setProblem] = useState<{ readonly field: string | undefined; readonly text: string }>();
  const saving = useChange('Changing a rule');
  const deleting = useChange('Deleting a rule');
  const fields = fieldsOf(rule);
  const names = ['name', 'severity', ...fields.map(({ name }) => name)];
  const set = (name: string) => (value: string) => setValues((before) => ({ ...before, [name]: value }));
  const problemOf = (name: string) => (problem?.field === name ? problem.text : undefined);
  const refused = (text: string) => setProblem({ field: fieldIn(text, names), text });
  /** The rule as it stands in the form; undefined where it cannot be sent. */
  const current = (): AlertRule | undefined => {
    const read = ruleOf({ rule, values });
    if ('problem' in read) {
      setProblem({ field: read.field, text: `This ${read.problem}.` });
      return undefined;
    }
    setProblem(undefined);
    return read;
  };
  const save = async () => {
    const changed = current();
    if (changed === undefined) return;
    const done = await saving.run(async (client) => {
      await saveRule(client, changed, isNew);
      return {
        text: `${changed.name} is ${isNew ? 'made' : 'changed'}. It is judged by that from the next second on.`,
        undo: (client) => (isNew ? deleteRule(client, changed.name) : saveRule(client, rule, false)),
      };
    }, refused);
    if (done) onClose();
  };
  return (
    <Drawer onClose={onClose} title={isNew ? 'New threshold' : rule.name} description={`Kind: ${rule.kind}`}>
      <form
        noValidate
        className="grid gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        {rule.source === 'config' && (
          <p className="text-small text-warning">
            This rule comes from nowcast.config.ts: the file has the last word at the next start.
          </p>
        )}
        {problem !== undefined && problem.field === undefined && (
          <p role="alert" className="text-bad text-small">
            {problem.text}
          </p>
        )}
        <div className="grid gap-x-4 gap-y-2 sm:grid-cols-2">
          {isNew && (
            <TextField
              label="Name"
              value={values.name ?? ''}
              onChange={set('name')}
              hint="Small letters, digits and _"
              problem={problemOf('name')}
            />
          )}
          <ChoiceField
            label="Severity"
            value={values.severity ?? 'warning'}
            options={[
              ['warning', 'Warning'],
              ['critical', 'Critical'],
            ]}
            onChange={set('severity')}
            problem={problemOf('severity')}
          />
          {fields.map(({ name, label, kind, options }) => {
            const common = {
              label,
              value: values[name] ?? '',
              onChange: set(name),
              problem: problemOf(name),
            };
            return kind === 'choice' ? (
              <ChoiceField key={name} {...common} options={options!} />
            ) : (
              <TextField key={name} {...common} type={kind === 'number' ? 'number' : 'text'} />
            );
          })}
        </div>
        <div className="flex flex-wrap gap-2">
          <Button kind="primary" type="submit" disabled={saving.busy} className="min-h-9 px-4">
            Save
          </Button>
          {!isNew && rule.source === 'user' && (
            <Button
              kind="quiet"
              disabled={deleting.busy}
              onClick={async () => {
                const done = await deleting.run(async (client) => {
                  await deleteRule(client, rule.name);
                  return { text: `${rule.name} is deleted.`, undo: (client) => saveRule(client, rule, true) };
                }, refused);
                if (done) onClose();
              }}
            >
              Delete
            </Button>
          )}
        </div>
        <Preview current={current} onProblem={refused} />
      </form>
      {saving.dialog}
      {deleting.dialog}
    </Drawer>
  );
}

import { type ReactNode, useId } from 'react';

const inputClass =
  'min-h-9 w-full rounded-md border border-line-strong bg-canvas px-3 text-body disabled:opacity-60';

interface FieldProps {
  readonly label: string;
  readonly hint?: string | undefined;
  /** What is wrong with it. */
  readonly problem?: string | undefined;
}

function Field(props: FieldProps & { children: (id: string, describedBy: string) => ReactNode }) {
  const { label, hint, problem, children } = props;
  const id = useId();
  return (
    <div className="grid gap-1">
      <label htmlFor={id} className="font-medium text-small">
        {label}
      </label>
      {children(id, `${id}-hint`)}
      <p id={`${id}-hint`} className={`text-caption ${problem === undefined ? 'text-muted' : 'text-bad'}`}>
        {problem ?? hint}
      </p>
    </div>
  );
}

interface TextFieldProps extends FieldProps {
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly type?: 'text' | 'number' | 'datetime-local';
  readonly isRequired?: boolean;
  readonly isDisabled?: boolean;
}

export function TextField(props: TextFieldProps) {
  const { value, onChange, type = 'text', isRequired = false, isDisabled = false, ...field } = props;
  return (
    <Field {...field}>
      {(id, describedBy) => (
        <input
          id={id}
          type={type}
          step="any"
          value={value}
          required={isRequired}
          disabled={isDisabled}
          aria-invalid={field.problem !== undefined}
          aria-describedby={describedBy}
          onChange={(event) => onChange(event.target.value)}
          className={inputClass}
        />
      )}
    </Field>
  );
}

interface ChoiceFieldProps extends FieldProps {
  readonly value: string;
  readonly options: readonly (readonly [value: string, label: string])[];
  readonly onChange: (value: string) => void;
}

export function ChoiceField({ value, options, onChange, ...field }: ChoiceFieldProps) {
  return (
    <Field {...field}>
      {(id, describedBy) => (
        <select
          id={id}
          value={value}
          aria-invalid={field.problem !== undefined}
          aria-describedby={describedBy}
          onChange={(event) => onChange(event.target.value)}
          className={inputClass}
        >
          {options.map(([value, label]) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

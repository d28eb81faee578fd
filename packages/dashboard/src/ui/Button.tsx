import type { ButtonHTMLAttributes } from 'react';

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  readonly kind?: 'plain' | 'quiet' | 'primary';
}

const kinds = {
  plain: 'border border-line bg-surface text-text hover:bg-raised',
  quiet: 'text-muted hover:bg-raised hover:text-text',
  primary: 'bg-text text-canvas hover:opacity-90',
};

type Kind = keyof typeof kinds;

/** Also for links that stand among buttons. */
export function buttonClass(kind: Kind): string {
  return `inline-flex min-h-7 items-center gap-1.5 rounded-md px-2.5 font-medium text-small disabled:opacity-50 ${kinds[kind]}`;
}

export function Button({ kind = 'plain', className = '', ...rest }: ButtonProps) {
  return <button type="button" className={`${buttonClass(kind)} ${className}`} {...rest} />;
}

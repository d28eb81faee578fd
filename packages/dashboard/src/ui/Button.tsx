import type { ButtonHTMLAttributes } from 'react';

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  readonly kind?: 'plain' | 'quiet' | 'primary';
}

const kinds = {
  plain: 'border border-line bg-surface text-text hover:bg-raised',
  quiet: 'text-muted hover:bg-raised hover:text-text',
  primary: 'bg-text text-canvas hover:opacity-90',
};

export function Button({ kind = 'plain', className = '', ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      className={`inline-flex min-h-7 items-center gap-1.5 rounded-md px-2.5 font-medium text-small disabled:opacity-50 ${kinds[kind]} ${className}`}
      {...rest}
    />
  );
}

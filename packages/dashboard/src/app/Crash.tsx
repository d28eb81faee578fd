import { Component, type ReactNode } from 'react';
import { Button } from '../ui/Button.tsx';

/** A mistake in the page must not look like a quiet system: it says that it broke. */
export class Crash extends Component<{ children: ReactNode }, { message: string | undefined }> {
  override state: { message: string | undefined } = { message: undefined };

  static getDerivedStateFromError(error: unknown): { message: string } {
    return { message: error instanceof Error ? error.message : String(error) };
  }

  override render(): ReactNode {
    if (this.state.message === undefined) return this.props.children;
    return (
      <div className="grid gap-4 p-8" role="alert">
        <p className="font-semibold text-figure">This page broke. That says nothing about your system.</p>
        <p className="text-muted">{this.state.message}</p>
        <Button kind="primary" className="justify-self-start" onClick={() => location.reload()}>
          Reload the page
        </Button>
      </div>
    );
  }
}

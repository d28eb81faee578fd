import { useEffect, useState } from 'react';
import { Button } from './Button.tsx';
import { Icon } from './Icon.tsx';

const shownForMs = 2_000;

export function CopyButton({ text, what }: { text: string; what: string }) {
  const [outcome, setOutcome] = useState<'copied' | 'refused'>();
  useEffect(() => {
    if (outcome === undefined) return;
    const timer = setTimeout(() => setOutcome(undefined), shownForMs);
    return () => clearTimeout(timer);
  }, [outcome]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setOutcome('copied');
    } catch {
      // Browsers refuse the clipboard to pages without TLS that are not on this machine.
      setOutcome('refused');
    }
  };
  return (
    <Button onClick={copy} aria-label={`Copy ${what}`}>
      <Icon name={outcome === 'copied' ? 'good' : 'copy'} className="size-3.5" />
      {outcome === 'copied' ? 'Copied' : outcome === 'refused' ? 'Select and copy by hand' : 'Copy'}
    </Button>
  );
}

import { Drawer } from '../ui/Drawer.tsx';
import { KeyForm } from './KeyForm.tsx';

export interface ServiceKeyDrawerProps {
  /** "Acknowledging", "Changing a rule". */
  readonly what: string;
  readonly onKey: (key: string) => void;
  readonly onClose: () => void;
}

/** Asks for a key that may change things, where the one of this browser may only read. */
export function ServiceKeyDrawer({ what, onKey, onClose }: ServiceKeyDrawerProps) {
  return (
    <Drawer place="middle" onClose={onClose} title={`${what} needs a service key`}>
      <KeyForm
        explanation="The key of this browser may only read. With a service key it may also change alerts."
        onKey={onKey}
      />
    </Drawer>
  );
}

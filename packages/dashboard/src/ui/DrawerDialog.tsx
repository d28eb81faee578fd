import { Dialog } from '@base-ui/react/dialog';
import type { DrawerProps } from './Drawer.tsx';
import { Icon } from './Icon.tsx';

const places = {
  side: 'inset-y-0 right-0 w-full max-w-3xl border-l',
  middle:
    'top-[12vh] left-1/2 max-h-[76vh] w-[calc(100%-2rem)] max-w-md -translate-x-1/2 rounded-panel border',
};

export default function DrawerDialog({ onClose, title, description, place = 'side', children }: DrawerProps) {
  return (
    <Dialog.Root open onOpenChange={(next) => next || onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="fixed inset-0 z-40 bg-black/40 motion-safe:transition-opacity data-ending-style:opacity-0 data-starting-style:opacity-0" />
        <Dialog.Popup
          className={`fixed z-50 flex flex-col border-line bg-surface shadow-xl ${places[place]}`}
        >
          <header className="flex items-start gap-3 border-line border-b px-4 py-3">
            <div className="min-w-0">
              <Dialog.Title className="break-words font-semibold text-base">{title}</Dialog.Title>
              {description !== undefined && (
                <Dialog.Description className="text-muted text-small">{description}</Dialog.Description>
              )}
            </div>
            <Dialog.Close
              aria-label="Close"
              className="ml-auto rounded-md p-1.5 text-muted hover:bg-raised hover:text-text"
            >
              <Icon name="close" />
            </Dialog.Close>
          </header>
          {/* Scrolls by keyboard too. */}
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must take the focus */}
          <section aria-label={title} tabIndex={0} className="min-h-0 flex-1 overflow-y-auto p-4">
            {children}
          </section>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

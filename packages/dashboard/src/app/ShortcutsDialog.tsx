import { useCell } from '../data/cell.ts';
import { Drawer } from '../ui/Drawer.tsx';
import { setShortcutsOn, shortcuts, shortcutsOn } from './shortcuts.ts';

export function ShortcutsDialog({ onClose }: { onClose: () => void }) {
  const on = useCell(shortcutsOn);
  return (
    <Drawer place="middle" onClose={onClose} title="Keyboard shortcuts">
      <dl className="grid gap-2">
        {Object.values(shortcuts).map(({ key, does }) => (
          <div key={key} className="flex items-center justify-between gap-4">
            <dt>{does}</dt>
            <dd>
              <kbd className="inline-block min-w-7 rounded border border-line-strong bg-raised px-2 text-center font-mono text-small">
                {key}
              </kbd>
            </dd>
          </div>
        ))}
      </dl>
      <label className="mt-5 flex items-center gap-2 border-line border-t pt-4 text-small">
        <input
          type="checkbox"
          checked={on}
          onChange={(event) => setShortcutsOn(event.target.checked)}
          className="size-4 accent-accent"
        />
        Single-key shortcuts (except ?)
      </label>
    </Drawer>
  );
}

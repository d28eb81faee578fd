import { useCell } from '../data/cell.ts';
import { Button } from '../ui/Button.tsx';
import { changesUnderWay, notice } from './notice.ts';
import { useChange } from './useChange.tsx';

export function NoticeBar() {
  const current = useCell(notice);
  const isOfEarlier = useCell(changesUnderWay) > 0;
  const { run, dialog } = useChange('Undoing');
  return (
    <>
      {/* Always there, and out of the grid while it says nothing: what appears in it is announced. */}
      <div role="status" aria-live="polite" className={current === undefined ? 'absolute' : ''}>
        {current !== undefined && (
          <div
            data-notice
            className={`flex flex-wrap items-center gap-x-4 gap-y-1 rounded-panel border bg-surface px-4 py-2 text-small ${current.failed ? 'border-bad/60 text-bad' : 'border-line'}`}
          >
            <span className="min-w-0 break-words">{current.text}</span>
            <span className="ml-auto flex gap-1">
              {current.undo !== undefined && (
                <Button
                  disabled={isOfEarlier}
                  onClick={() =>
                    run(async (client) => {
                      await current.undo?.(client);
                      return { text: 'Taken back.' };
                    })
                  }
                >
                  Undo
                </Button>
              )}
              <Button kind="quiet" onClick={() => notice.set(undefined)}>
                Dismiss
              </Button>
            </span>
          </div>
        )}
      </div>
      {dialog}
    </>
  );
}

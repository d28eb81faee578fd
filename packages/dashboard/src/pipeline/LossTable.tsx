import type { ReactNode } from 'react';
import { count } from '../data/format.ts';
import type { LossRow } from '../data/losses.ts';
import { sendersShown } from '../data/queries.ts';
import { Panel } from '../ui/Panel.tsx';
import type { PanelState } from '../ui/panelState.ts';

const fates = [
  { title: '= stored', of: ({ stored }: LossRow) => stored },
  { title: '+ sampled out', of: ({ sampledOut }: LossRow) => sampledOut },
  { title: '+ duplicate', of: ({ duplicate }: LossRow) => duplicate },
  { title: '+ rejected', of: ({ rejected }: LossRow) => rejected, isLoss: true },
  { title: '+ dropped', of: ({ dropped }: LossRow) => dropped, isLoss: true },
] as const;

export interface LossTableProps {
  readonly rows: readonly LossRow[];
  readonly window: string;
  readonly state: PanelState;
  readonly onRetry: () => void;
  readonly actions: ReactNode;
}

/** What became of everything that was sent. */
export function LossTable({ rows, window, state, onRetry, actions }: LossTableProps) {
  return (
    <Panel
      title="Senders"
      caption={`events, ${window}${rows.length > sendersShown ? `; the ${sendersShown} busiest senders` : ''}`}
      state={state}
      onRetry={onRetry}
      actions={actions}
      empty="Nobody sent anything in this window."
    >
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must take the focus */}
      <section aria-label="Senders, table" tabIndex={0} className="overflow-x-auto px-4 pb-3">
        <table className="w-full border-separate border-spacing-0 text-small">
          <thead>
            <tr>
              <th
                scope="col"
                className="sticky left-0 bg-(--panel) pr-4 pb-1 text-left align-bottom font-medium"
              >
                Sender
              </th>
              <th scope="col" className="pb-1 pl-4 text-right align-bottom font-medium">
                Sent
              </th>
              {fates.map(({ title }) => (
                <th
                  key={title}
                  scope="col"
                  className="whitespace-nowrap pb-1 pl-4 text-right align-bottom font-medium"
                >
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          {rows.map((row) => (
            <SenderRows key={row.sender === null ? 'everybody' : `sender ${row.sender}`} row={row} />
          ))}
        </table>
      </section>
    </Panel>
  );
}

function SenderRows({ row }: { row: LossRow }) {
  const { sender, sent, reasons } = row;
  const isTotal = sender === null;
  const cell = `whitespace-nowrap border-line border-t py-1.5 pl-4 text-right ${isTotal ? 'font-semibold' : ''}`;
  return (
    <tbody data-sender={sender ?? undefined}>
      <tr>
        <th
          scope="row"
          title={sender ?? undefined}
          className={`sticky left-0 max-w-40 truncate border-line border-t bg-(--panel) py-1.5 pr-4 text-left sm:max-w-72 ${isTotal ? 'font-semibold' : 'font-medium'}`}
        >
          {sender ?? 'Everybody'}
        </th>
        <td className={cell}>{count(sent)}</td>
        {fates.map(({ title, of, ...fate }) => {
          const events = of(row);
          const alarming = 'isLoss' in fate && events > 0;
          return (
            <td key={title} className={`${cell} ${alarming ? 'font-semibold text-bad' : ''}`}>
              {count(events)}
            </td>
          );
        })}
      </tr>
      {!isTotal && reasons.length > 0 && (
        <tr>
          <td colSpan={fates.length + 2} className="pb-2">
            <ul
              aria-label="Reasons"
              className="sticky left-0 grid w-max max-w-[min(60rem,calc(100vw-4.5rem))] gap-0.5 text-caption text-muted"
            >
              {reasons.map(({ text, events }) => (
                <li key={text} className="break-words">
                  {count(events)} {text}
                  {text.startsWith('refused: ') && ' (still with the sender, not in the sum)'}
                </li>
              ))}
            </ul>
          </td>
        </tr>
      )}
    </tbody>
  );
}

import type { ReactNode } from 'react';

export interface FigureColumn<R> {
  readonly title: string;
  /** Unit and window. */
  readonly window: string;
  readonly cell: (row: R) => ReactNode;
  /** Words stand at the left, figures at the right. */
  readonly isText?: boolean;
  /** Left out where no row has it. */
  readonly present?: (row: R) => boolean;
  readonly alarming?: (row: R) => boolean;
}

export interface FigureTableProps<R> {
  readonly label: string;
  /** What the rows are: the head of the first column. */
  readonly rowTitle: string;
  readonly rows: readonly R[];
  readonly keyOf: (row: R) => string;
  readonly head: (row: R) => ReactNode;
  readonly columns: readonly FigureColumn<R>[];
}

/** Rows of figures; the first column stays in view when the rest scrolls. */
export function FigureTable<R>(props: FigureTableProps<R>) {
  const { label, rowTitle, rows, keyOf, head } = props;
  const columns = props.columns.filter(({ present }) => present === undefined || rows.some(present));
  return (
    // Positioned: what is hidden for the eye inside would widen the page otherwise.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must take the focus
    <section aria-label={`${label}, table`} tabIndex={0} className="relative overflow-x-auto px-4 pb-3">
      <table className="w-full border-separate border-spacing-0 text-small">
        <thead>
          <tr>
            <th
              scope="col"
              className="sticky left-0 bg-(--panel) pr-4 pb-1 text-left align-bottom font-medium"
            >
              {rowTitle}
            </th>
            {columns.map(({ title, window, isText }) => (
              <th
                key={title + window}
                scope="col"
                className={`pb-1 pl-4 align-bottom font-medium ${isText ? 'text-left' : 'text-right'}`}
              >
                <span className="whitespace-nowrap">{title}</span>
                <span className="ml-auto block max-w-32 font-normal text-caption text-muted">{window}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)} data-row={keyOf(row)} className="group">
              <th
                scope="row"
                className="sticky left-0 max-w-36 border-line border-t bg-(--panel) py-1.5 pr-4 text-left font-medium group-hover:bg-raised sm:max-w-56"
              >
                {head(row)}
              </th>
              {columns.map(({ title, window, cell, isText, alarming }) => (
                <td
                  key={title + window}
                  className={`whitespace-nowrap border-line border-t py-1.5 pl-4 group-hover:bg-raised ${isText ? 'text-left' : 'text-right'} ${alarming?.(row) ? 'font-semibold text-bad' : ''}`}
                >
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

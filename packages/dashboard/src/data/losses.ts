/** A row of `loss_accounting()`. What was sent is exactly the sum of the five fates that follow it. */
export interface LossRow {
  /** null: everybody together. */
  readonly sender: string | null;
  readonly sent: number;
  readonly stored: number;
  readonly sampledOut: number;
  readonly duplicate: number;
  readonly rejected: number;
  readonly dropped: number;
  /** The most frequent first. */
  readonly reasons: readonly LossReason[];
}

interface LossReason {
  readonly text: string;
  readonly events: number;
}

export function readLosses(row: Readonly<Record<string, unknown>>): LossRow {
  const { reasons } = row;
  const counted = typeof reasons === 'object' && reasons !== null ? Object.entries(reasons) : [];
  return {
    sender: row.sender === null ? null : String(row.sender),
    sent: Number(row.sent),
    stored: Number(row.stored),
    sampledOut: Number(row.sampled_out),
    duplicate: Number(row.duplicate),
    rejected: Number(row.rejected),
    dropped: Number(row.dropped),
    reasons: counted
      .map(([text, events]) => ({ text, events: Number(events) }))
      .sort((a, b) => b.events - a.events || (a.text < b.text ? -1 : 1)),
  };
}

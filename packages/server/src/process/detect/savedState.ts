/** What a detector leaves behind between runs: plain JSON. One of another version or shape is not read. */
export interface SavedState {
  readonly version: number;
  readonly numbers: readonly number[];
  readonly tails: readonly number[];
  readonly episode: readonly number[];
  readonly season?: string;
}

/** The state if it may be trusted to be one of this version; whatever else the database held starts a detector anew. */
export function readSaved(state: unknown, version: number): SavedState | undefined {
  if (typeof state !== 'object' || state === null) return undefined;
  const saved = state as Partial<SavedState>;
  const areNumbers = [saved.numbers, saved.tails, saved.episode].every(
    (list) => Array.isArray(list) && list.every(Number.isFinite),
  );
  if (saved.version !== version || !areNumbers) return undefined;
  if (saved.season !== undefined && typeof saved.season !== 'string') return undefined;
  return saved as SavedState;
}

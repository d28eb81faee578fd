import { afterWaiting } from '../patience.ts';

/** Rejects with `late()` when the work takes longer; the work itself goes on. */
export async function withDeadline<Result>(
  work: Promise<Result>,
  deadlineMs: number,
  late: () => Error,
): Promise<Result> {
  let callOff = () => {};
  try {
    return await Promise.race([
      work,
      new Promise<never>((_, reject) => {
        callOff = afterWaiting(deadlineMs, () => reject(late()));
      }),
    ]);
  } finally {
    callOff();
  }
}

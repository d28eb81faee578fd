/** Rejects with `late()` when the work takes longer; the work itself goes on. */
export async function withDeadline<Result>(
  work: Promise<Result>,
  deadlineMs: number,
  late: () => Error,
): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([
      work,
      new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(late()), deadlineMs);
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}

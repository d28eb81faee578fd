/** Like Promise.all, but it ends when all have ended: behind an error nothing goes on. */
export async function allEnded<First, Second>(
  promises: readonly [Promise<First>, Promise<Second>],
): Promise<[First, Second]> {
  await Promise.allSettled(promises);
  return await Promise.all(promises);
}

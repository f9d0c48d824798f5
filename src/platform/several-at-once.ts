/** Work on many things of which a few are worked on at a time. */

/**
 * Begins with each of the things in their order, so many at a time. Rejects with what failed first; by then nothing is under way any
 * more, and nothing that was not begun will be: whoever gives up what is worked on meets nobody at work there.
 */
export async function severalAtOnce<T>(
  things: readonly T[],
  count: number,
  work: (thing: T) => Promise<void>,
): Promise<void> {
  const waiting = things.values();
  let failure: { readonly cause: unknown } | undefined;
  const worker = async (): Promise<void> => {
    for (const thing of waiting) {
      if (failure !== undefined) return;
      try {
        await work(thing);
      } catch (cause) {
        failure ??= { cause };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, things.length) }, worker));
  if (failure !== undefined) throw failure.cause;
}

/** Several instances are told as one: all are tried, all failures gathered. */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";

/** What one of several answered. */
export type OneAnswer<T> = { readonly name: string; readonly answer: T };

/**
 * Tells every instance at the same time. Resolves when all have answered; rejects with `pooler.not-all` when some failed, once
 * all have been tried, and with `platform.aborted`.
 */
export async function tellEvery<P extends { readonly name: string }, T>(
  poolers: readonly P[],
  tell: (pooler: P) => Promise<T>,
): Promise<readonly OneAnswer<T>[]> {
  const told = await Promise.allSettled(poolers.map((pooler) => tell(pooler)));
  const answers: OneAnswer<T>[] = [];
  const failures: { readonly name: string; readonly error: unknown }[] = [];
  for (const [index, { name }] of poolers.entries()) {
    const outcome = told[index];
    if (outcome?.status === "fulfilled") answers.push({ name, answer: outcome.value });
    else failures.push({ name, error: outcome?.reason });
  }
  if (failures.length === 0) return answers;
  // An abort, or a bug of ours, is no news of a pooler.
  const other = failures.find(({ error }) => !isLifeboatError(error) || !error.code.startsWith("pooler."));
  if (other !== undefined) throw other.error;
  const said = failures.map(({ name, error }) => `${name}: ${errorText(error)}`);
  throw new LifeboatError("pooler.not-all", {
    message: `${failures.length} of ${poolers.length} poolers did not do it: ${said.join("; ")}`,
    remedy: "Those that did stay as they are. Mend what is said of the others, then run the same command again.",
    retryable: true,
    cause: new AggregateError(failures.map(({ error }) => error)),
  });
}

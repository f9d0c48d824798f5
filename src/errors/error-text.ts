/** What was thrown, in words that fit into a message. */

/** A record can be wrong in every entry of a list; whoever mends the first few looks again. */
const PROBLEMS_MAX = 5;

/**
 * What a thrown value says of itself: an error's message, anything else as text. An error of a schema says in one line which
 * fields are wrong; its own message is JSON over many lines. Causes and remedies are told where errors are shown.
 */
export function errorText(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  if (!("issues" in thrown) || !Array.isArray(thrown.issues)) return thrown.message;
  const problems = thrown.issues.slice(0, PROBLEMS_MAX).map(problemText);
  const leftOut = thrown.issues.length - problems.length;
  return [...problems, ...(leftOut === 0 ? [] : [`${leftOut} more`])].join("; ");
}

/** As zod has them: where, and what is wrong there. This folder stands below every dependency, so it looks for the two fields. */
function problemText(problem: { readonly path?: readonly PropertyKey[]; readonly message?: string }): string {
  const place = (problem.path ?? []).map(String).join(".");
  const what = problem.message ?? "is wrong";
  return place === "" ? what : `${place}: ${what}`;
}

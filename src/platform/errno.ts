/** The name of the error that the system gave, such as `ENOENT`; undefined for an error of another kind. */
export function errnoOf(cause: unknown): string | undefined {
  return cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : undefined;
}

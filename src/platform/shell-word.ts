/** Text as a shell takes it for one word, for commands that a person pastes and for scripts that we write. */

/** In quotes, whatever is in it. */
export function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

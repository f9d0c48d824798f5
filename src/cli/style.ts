/** Colours and width of text for people. */

/** What a sink of text knows of itself. */
export type StyleFacts = { readonly colours: boolean; readonly columns: number };

type Paint = (text: string) => string;

/** How to paint text, and how wide it may be. */
export type Style = {
  readonly columns: number;
  readonly strong: Paint;
  readonly faint: Paint;
  readonly good: Paint;
  readonly bad: Paint;
  readonly warning: Paint;
};

/** The style of a sink; without colours every paint returns its text. */
export function createStyle(facts: StyleFacts): Style {
  const paint =
    (code: number): Paint =>
    (text) =>
      facts.colours && text !== "" ? `\u001b[${code}m${text}\u001b[0m` : text;
  return {
    columns: facts.columns,
    strong: paint(1),
    faint: paint(2),
    good: paint(32),
    bad: paint(31),
    warning: paint(33),
  };
}

/** Whether a sink gets colours: only a terminal, and not when NO_COLOR (no-color.org), TERM=dumb or `--no-color` speak against. */
export function wantsColours(
  sink: { readonly isTerminal: boolean },
  facts: { readonly environment: Readonly<Record<string, string | undefined>>; readonly flag: boolean },
): boolean {
  const { environment } = facts;
  const refused = (environment["NO_COLOR"] ?? "") !== "" || environment["TERM"] === "dumb";
  return sink.isTerminal && facts.flag && !refused;
}

/** The number of columns a text takes, escape sequences left out. */
export function visibleWidth(text: string): number {
  return [...stripStyle(text)].length;
}

/** Text without the escape sequences of `createStyle`. */
export function stripStyle(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with a control character
  return text.replace(/\u001b\[\d+m/g, "");
}

/**
 * Text from a server, a file name or an environment, made harmless for a terminal: control characters other than the
 * line end are written as \\xNN.
 */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) =>
    character === "\n" ? character : `\\x${(character.codePointAt(0) ?? 0).toString(16).padStart(2, "0")}`,
  );
}

/** Cuts a text to `columns`, the last of them an ellipsis where something is lost. For text without escape sequences. */
export function cut(text: string, columns: number): string {
  const characters = [...text];
  return characters.length <= columns ? text : `${characters.slice(0, Math.max(0, columns - 1)).join("")}…`;
}

/**
 * The terminal a person sits at, as a port.
 *
 * Nouns: the *controlling terminal* is /dev/tty, there whatever stdin and stdout are joined to.
 * Invariants: while it is open nothing typed is shown or turned into a signal (Ctrl-C arrives as a character); closing it
 * gives the terminal back as it was.
 */
import { closeSync, openSync } from "node:fs";
import { isatty, ReadStream, WriteStream } from "node:tty";

/** An open terminal. Close it exactly once. */
export interface Terminal {
  write(text: string): void;
  /** Hands over what is typed, in pieces as they come, until it is closed; `undefined` when the terminal goes away. */
  onInput(listener: (typed: string | undefined) => void): void;
  close(): void;
}

/** Opens the controlling terminal; undefined where there is none (cron, a service, a pipe line in CI). */
export function openTerminal(): Terminal | undefined {
  let descriptor: number;
  try {
    descriptor = openSync("/dev/tty", "r+");
  } catch {
    // ENXIO and ENOENT both say that nobody sits there; the caller has an error of its own for that.
    return undefined;
  }
  if (!isatty(descriptor)) return undefined;
  const input = new ReadStream(descriptor);
  const output = new WriteStream(openSync("/dev/tty", "r+"));
  input.setEncoding("utf8");
  input.setRawMode(true);
  return {
    write: (text) => {
      output.write(text);
    },
    onInput: (listener) => {
      input.on("data", (typed) => listener(typed.toString()));
      input.once("end", () => listener(undefined));
      input.once("error", () => listener(undefined));
    },
    close: () => {
      input.setRawMode(false);
      input.destroy();
      output.destroy();
    },
  };
}

/** True when there is a terminal to ask at. */
export function hasTerminal(): boolean {
  try {
    const descriptor = openSync("/dev/tty", "r+");
    const answer = isatty(descriptor);
    closeSync(descriptor);
    return answer;
  } catch {
    // As above: nobody sits there.
    return false;
  }
}

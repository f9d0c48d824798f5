/**
 * Asks a person at the terminal.
 *
 * Invariants: what is asked without echo is never shown, not even its length; the terminal is given back on every way
 * out; Ctrl-C and an abort reject with `platform.aborted`.
 */
import { LifeboatError } from "../errors/error.ts";
import { abortedError, throwIfAborted } from "../platform/clock.ts";
import type { Terminal } from "../platform/terminal.ts";

/** Asks a person. */
export interface Prompt {
  /** Asks for a secret, without echo. An empty answer is an answer. */
  secret(question: string): Promise<string>;
  /** Asks for a new secret twice until both agree. */
  newSecret(question: string): Promise<string>;
  /** Asks to type `word` to go on; rejects with `config.confirmation-refused` on any other answer. */
  confirm(request: { readonly what: string; readonly word: string }): Promise<void>;
}

/** More than anybody types; a runaway paste ends here. */
const ANSWER_LENGTH_MAX = 4096;
const NEW_SECRET_ATTEMPTS_MAX = 3;

/** A prompt on the terminal that `open` opens; each question opens and closes it. */
export function createPrompt(open: () => Terminal | undefined, options: { readonly signal: AbortSignal }): Prompt {
  const ask = async (question: string, echo: boolean): Promise<string> => {
    throwIfAborted(options.signal, "asking at the terminal");
    const terminal = open();
    if (terminal === undefined) throw terminalGone();
    try {
      return await readAnswer(terminal, { question, echo, signal: options.signal });
    } finally {
      terminal.close();
    }
  };
  return {
    secret: (question) => ask(question, false),
    newSecret: async (question) => {
      for (let attempt = 0; attempt < NEW_SECRET_ATTEMPTS_MAX; attempt += 1) {
        const first = await ask(attempt === 0 ? question : `They differ. ${question}`, false);
        if (first === (await ask("Once more: ", false))) return first;
      }
      throw new LifeboatError("config.secret-unusable", {
        message: `two answers differed ${NEW_SECRET_ATTEMPTS_MAX} times`,
        remedy: "Run the command again, or give the passphrase in a file.",
      });
    },
    confirm: async ({ what, word }) => {
      const answer = await ask(`${what}\nType ${word} to go on: `, true);
      if (answer === word) return;
      throw new LifeboatError("config.confirmation-refused", {
        message: `not confirmed: "${word}" was asked for, "${answer}" was typed`,
        remedy: `Run the command again and type ${word}, or leave things as they are.`,
      });
    },
  };
}

type Asking = { readonly question: string; readonly echo: boolean; readonly signal: AbortSignal };

function readAnswer(terminal: Terminal, asking: Asking): Promise<string> {
  const { signal, echo } = asking;
  return new Promise((resolve, reject) => {
    const answer: string[] = [];
    const settle = (finish: () => void) => {
      signal.removeEventListener("abort", onAbort);
      terminal.write("\r\n");
      finish();
    };
    const onAbort = () => settle(() => reject(abortedError("asking at the terminal", signal.reason)));
    signal.addEventListener("abort", onAbort, { once: true });
    terminal.onInput((typed) => {
      if (typed === undefined) return settle(() => reject(terminalGone()));
      for (const character of withoutEscapes(typed)) {
        const outcome = edit(answer, character);
        if (outcome === "done") return settle(() => resolve(answer.join("")));
        if (outcome === "interrupted") return settle(() => reject(abortedError("asking at the terminal")));
        if (echo) terminal.write(`\r\u001b[K${lastLine(asking.question)}${answer.join("")}`);
      }
    });
    terminal.write(asking.question.replaceAll("\n", "\r\n"));
  });
}

function edit(answer: string[], character: string): "goes-on" | "done" | "interrupted" {
  if (character === "\r" || character === "\n") return "done";
  if (character === CTRL_C) return "interrupted";
  if (character === CTRL_D) return answer.length === 0 ? "interrupted" : "done";
  if (character === BACKSPACE || character === DELETE) answer.pop();
  else if (character === CTRL_U) answer.length = 0;
  else if (!/\p{Cc}/u.test(character) && answer.length < ANSWER_LENGTH_MAX) answer.push(character);
  return "goes-on";
}

const CTRL_C = "\u0003";
const CTRL_D = "\u0004";
const CTRL_U = "\u0015";
const BACKSPACE = "\b";
const DELETE = "\u007f";

// Arrow keys and bracketed paste arrive as escape sequences; they are not part of an answer.
function withoutEscapes(typed: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with a control character
  return typed.replace(/\u001b(?:\[[0-9;?]*[ -/]*[@-~]|O.)/g, "");
}

function lastLine(question: string): string {
  return question.split("\n").at(-1) ?? "";
}

function terminalGone(): LifeboatError {
  return new LifeboatError("platform.aborted", {
    message: "the terminal went away while a question was open",
    remedy: "Run the command again at a terminal, or give the passphrase in a file.",
  });
}

/**
 * How many confirmers a commit waits for, and how a server is told.
 *
 * Nouns: a *mode* says how many confirmers must have a commit on stable storage before its client is told: `async` none,
 * `quorum` one, `strict` two. The *names* are the value of synchronous_standby_names, which says the same to PostgreSQL.
 * The *description* is the mode that is meant to be: chosen by `lifeboat durability`, else the configuration's.
 * Invariants: everybody who sets names makes them here, so that two parts of Lifeboat never disagree about them; a mode is
 * only ever read from names of this form, and anything else is `other`; a server's word counts only when a new session
 * repeats it.
 * Source: PostgreSQL manual, "Synchronous Replication"; src/backend/replication/syncrep_gram.y, syncrep_scanner.l.
 */
import { assert } from "../errors/error.ts";

/** The modes, the weakest first. */
export const DURABILITY_MODES = ["async", "quorum", "strict"] as const;

/** One of them. */
export type DurabilityMode = (typeof DURABILITY_MODES)[number];

/** Confirmers that a commit waits for. */
export const CONFIRMATIONS: Readonly<Record<DurabilityMode, number>> = { async: 0, quorum: 1, strict: 2 };

/** Who can confirm a commit of one node. */
export type Confirmers = {
  /** Application names of all the other nodes. */
  readonly nodes: readonly string[];
  /** That of the receiver, of the epoch in force; undefined where it must not count. */
  readonly receiver: string | undefined;
};

/** Their names in the order in which they are listed. */
export function confirmerNames({ nodes, receiver }: Confirmers): readonly string[] {
  return receiver === undefined ? nodes : [...nodes, receiver];
}

/** The value of synchronous_standby_names for a node whose commits wait in this mode for these. */
export function synchronousStandbyNames(mode: DurabilityMode, confirmers: Confirmers): string {
  const count = CONFIRMATIONS[mode];
  if (count === 0) return "";
  const names = confirmerNames(confirmers);
  assert(names.length > 0, "a commit that waits for confirmers waits for somebody");
  return `ANY ${count} (${names.map(quoteName).join(", ")})`;
}

/**
 * The value of a standby: the receiver's name in a reign that there never is. Whoever promotes it names others; a server that has
 * some all the time acknowledges nothing in between.
 */
export const HELD_NAMES = synchronousStandbyNames("quorum", { nodes: [], receiver: "lifeboat_vault_e0" });

/** What names say. */
export type SyncNames =
  | { readonly kind: "none" }
  | {
      readonly kind: "wait";
      readonly method: "any" | "first";
      readonly count: number;
      readonly names: readonly string[];
    };

/** Reads names as the server does; undefined where it would refuse them. */
export function parseSyncNames(text: string): SyncNames | undefined {
  if (text.trim() === "") return { kind: "none" };
  const tokens = tokensOf(text);
  if (tokens === undefined) return undefined;
  const [first, second] = tokens;
  const word = first?.kind === "word" ? first.text.toLowerCase() : undefined;
  if ((word === "any" || word === "first") && second?.kind === "number") return counted(word, tokens.slice(1));
  if (first?.kind === "number" && second?.text === "(") return counted("first", tokens);
  const names = namesOf(tokens);
  return names === undefined ? undefined : { kind: "wait", method: "first", count: 1, names };
}

/** What is waited for where these are names of ours alone: of the nodes, or the receiver's in any reign. Undefined for all else. */
export function waitsForOurs(
  text: string,
  nodes: readonly string[],
): Extract<SyncNames, { readonly kind: "wait" }> | undefined {
  const read = parseSyncNames(text);
  if (read?.kind !== "wait") return undefined;
  return read.names.every((name) => nodes.includes(name) || isReceiverName(name)) ? read : undefined;
}

/** Of any reign: under a mode that was set in an earlier one the same receiver waited. */
export function isReceiverName(name: string): boolean {
  return /^lifeboat_vault(?:_e[0-9]+)?$/.test(name);
}

/** The mode that names say; `other` for what Lifeboat does not set. */
export function modeOfNames(text: string): DurabilityMode | "other" {
  const read = parseSyncNames(text);
  if (read === undefined) return "other";
  if (read.kind === "none") return "async";
  if (read.method !== "any") return "other";
  return DURABILITY_MODES.find((mode) => CONFIRMATIONS[mode] === read.count) ?? "other";
}

/** Whether two names are one to the server, which compares without regard to case. */
export function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

/** Whether two values say the same, whatever the order and the case of their names. */
export function sameSyncNames(a: string, b: string): boolean {
  const [left, right] = [parseSyncNames(a), parseSyncNames(b)];
  if (left === undefined || right === undefined) return a === b;
  if (left.kind === "none" || right.kind === "none") return left.kind === right.kind;
  // For FIRST the order is a priority.
  const key = ({ method, names }: typeof left): string => {
    const lower = names.map((name) => name.toLowerCase());
    return JSON.stringify(method === "any" ? lower.toSorted() : lower);
  };
  return left.method === right.method && left.count === right.count && key(left) === key(right);
}

type Token = { readonly kind: "word" | "quoted" | "number" | "sign"; readonly text: string };

const TOKEN = /\s*(?:"((?:[^"]|"")+)"|([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)|(\d+)|([*(),]))\s*/y;

function tokensOf(text: string): readonly Token[] | undefined {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const match = TOKEN.exec(text);
    if (match === null) return undefined;
    const [, quoted, word, number, sign] = match;
    if (quoted !== undefined) tokens.push({ kind: "quoted", text: quoted.replaceAll('""', '"') });
    else if (word !== undefined) tokens.push({ kind: "word", text: word });
    else if (number !== undefined) tokens.push({ kind: "number", text: number });
    else tokens.push({ kind: "sign", text: sign ?? "" });
  }
  return tokens;
}

/** `2 (a, b)` */
function counted(method: "any" | "first", tokens: readonly Token[]): SyncNames | undefined {
  const [count, open] = tokens;
  if (count === undefined || open?.text !== "(" || tokens.at(-1)?.text !== ")") return undefined;
  const names = namesOf(tokens.slice(2, -1));
  const number = Number(count.text);
  return names === undefined || number === 0 ? undefined : { kind: "wait", method, count: number, names };
}

/** `a, "b", 3, *` */
function namesOf(tokens: readonly Token[]): readonly string[] | undefined {
  const names: string[] = [];
  for (const [index, { kind, text }] of tokens.entries()) {
    const isComma = kind === "sign" && text === ",";
    if (isComma !== (index % 2 === 1) || text === "(" || text === ")") return undefined;
    if (!isComma) names.push(text);
  }
  return tokens.length % 2 === 1 ? names : undefined;
}

/** Bare where the server reads it as one name, and neither as a keyword nor as "everybody". */
function quoteName(name: string): string {
  const bare = /^[a-z_][a-z0-9_]*$/.test(name) && name !== "any" && name !== "first";
  return bare ? name : `"${name.replaceAll('"', '""')}"`;
}

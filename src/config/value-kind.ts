/**
 * The kinds of value that a setting, an option or an argument can have.
 *
 * Nouns: a *kind* reads one value from its text and writes it back; `accepts` ends the sentence "must be …".
 * Invariants: a kind never throws, it answers undefined; `parse(format(v))` equals `v`. Text comes from a file, a flag or
 * an environment variable alike, so a value means the same wherever it was written.
 */
import path from "node:path";
import { isNetwork } from "../platform/caller-address.ts";
import type { Instant } from "../platform/clock.ts";
import { isWebAddress } from "../platform/web-address.ts";
import { type ByteSize, formatByteSize, parseByteSize } from "../units/byte-size.ts";
import { type DurationMs, formatDuration, parseDuration } from "../units/duration.ts";

/** Where relative paths start and what `~` stands for. */
export type PathBase = { readonly folder: string; readonly home: string };

/** How one kind of value is read and written. */
export type ValueKind<T> = {
  /** Stands for the value in help: `HOST`. */
  readonly placeholder: string;
  /** Ends "must be …". */
  readonly accepts: string;
  /** The value, or undefined when the text is not accepted. */
  readonly parse: (text: string, base: PathBase) => T | undefined;
  readonly format: (value: T) => string;
  /** What people are shown instead of a text that may hold a secret, accepted or not; undefined: the text itself. */
  readonly show?: (text: string) => string;
  /** All accepted texts, where they can be listed: for help and shell completion. */
  readonly choices?: readonly string[];
  /** What a shell should offer. */
  readonly completes?: "file" | "folder";
};

/** A kind whose type is not known here. */
export type AnyValueKind = Omit<ValueKind<unknown>, "format"> & { readonly format: (value: never) => string };

/** A value written as the given text, not empty and on one line. */
export function text(placeholder: string): ValueKind<string> {
  return {
    placeholder,
    accepts: "text on one line, not empty",
    parse: (given) => (given.trim() === "" || hasControlCharacter(given) ? undefined : given),
    format: (value) => value,
  };
}

/** The address of something that takes events. What follows the host may be a secret and is not shown. */
export function webhook(): ValueKind<string> {
  return {
    placeholder: "URL",
    accepts: "an address such as https://hooks.example.com/events, with http or https and without a user or password",
    parse: (given) => (isWebAddress(given) && !hasControlCharacter(given) ? given : undefined),
    format: (value) => value,
    show: (given) => (isWebAddress(given) ? `${new URL(given).origin}/…` : STARS),
  };
}

/** How a secret is shown. Of fixed length: the number of stars tells nothing. */
export const STARS = "********";

/** A word of another program's command line: whatever it is. */
export function word(placeholder: string): ValueKind<string> {
  return { placeholder, accepts: "a word", parse: (given) => given, format: (value) => value };
}

/** A name PostgreSQL takes for a replication slot: lower-case letters, digits and underscores, at most 63. */
export function slotName(): ValueKind<string> {
  return {
    placeholder: "NAME",
    accepts: "1 to 63 lower-case letters, digits and underscores",
    parse: (given) => (/^[a-z0-9_]{1,63}$/.test(given) ? given : undefined),
    format: (value) => value,
  };
}

/** The same without those that are somebody's already; one that ends in * stands for all that begin so. */
export function nameBeside(taken: readonly string[]): ValueKind<string> {
  const kind = slotName();
  const isTaken = (given: string): boolean =>
    taken.some((name) => (name.endsWith("*") ? given.startsWith(name.slice(0, -1)) : given === name));
  return {
    ...kind,
    accepts: `${kind.accepts}, and none of ${taken.join(", ")}`,
    parse: (given, base) => (isTaken(given) ? undefined : kind.parse(given, base)),
  };
}

/** A whole number within bounds, both included. */
export function whole(placeholder: string, bounds: { readonly min: number; readonly max: number }): ValueKind<number> {
  return {
    placeholder,
    accepts: `a whole number from ${bounds.min} to ${bounds.max}`,
    parse: (given) => {
      const value = /^\d{1,15}$/.test(given) ? Number(given) : Number.NaN;
      return value >= bounds.min && value <= bounds.max ? value : undefined;
    },
    format: (value) => String(value),
  };
}

/** A TCP port. */
export function port(): ValueKind<number> {
  return { ...whole("PORT", { min: 1, max: 65_535 }), accepts: "a port from 1 to 65535" };
}

/** Addresses, `host:port`, with commas between; IPv4, a name, or where it is allowed the folder of a Unix socket. */
export function addresses({
  sockets = false,
} = {}): ValueKind<readonly { readonly host: string; readonly port: number }[]> {
  return {
    placeholder: "HOST:PORT,…",
    accepts: "addresses such as 127.0.0.1:8101,127.0.0.1:8102, at most 32",
    parse: (given) => {
      const address = sockets ? /^([\w.-]{1,253}|\/[^,\p{Cc}]{0,100}):(\d{1,5})$/u : /^([\w.-]{1,253}):(\d{1,5})$/;
      const found = given.split(",").map((each) => address.exec(each.trim()));
      if (found.length > ADDRESSES_MAX) return undefined;
      const parsed = found.map((match) => ({ host: match?.[1] ?? "", port: Number(match?.[2]) }));
      return parsed.every((each) => each.port >= 1 && each.port <= 65_535) ? parsed : undefined;
    },
    format: (value) => value.map((each) => `${each.host}:${each.port}`).join(","),
  };
}

/** Networks, with commas between: addresses with the length of what they have in common, or single ones. */
export function networks(): ValueKind<readonly string[]> {
  return {
    placeholder: "NETWORK,…",
    accepts: "networks such as 10.0.0.0/8,fd00::/8, at most 64",
    parse: (given) => {
      const found = given.split(",").map((each) => each.trim());
      return found.length <= NETWORKS_MAX && found.every(isNetwork) ? found : undefined;
    },
    format: (value) => value.join(","),
  };
}

/** More than the networks of a large proxy service. */
const NETWORKS_MAX = 64;

/** A machine runs no more instances of one program than this. */
const ADDRESSES_MAX = 32;

/** A duration with its unit, within bounds. */
export function duration(bounds: { readonly min: DurationMs; readonly max: DurationMs }): ValueKind<DurationMs> {
  return {
    placeholder: "TIME",
    accepts: `a duration with its unit from ${formatDuration(bounds.min)} to ${formatDuration(bounds.max)}, for example 10s`,
    parse: (given) => {
      const value = parseDuration(given);
      return value !== undefined && value >= bounds.min && value <= bounds.max ? value : undefined;
    },
    format: formatDuration,
  };
}

/** A size in bytes with its unit, within bounds. */
export function byteSize(bounds: { readonly min: ByteSize; readonly max: ByteSize }): ValueKind<ByteSize> {
  return {
    placeholder: "SIZE",
    accepts: `a size with its unit from ${formatByteSize(bounds.min)} to ${formatByteSize(bounds.max)}, for example 64MiB`,
    parse: (given) => {
      const value = parseByteSize(given);
      return value !== undefined && value >= bounds.min && value <= bounds.max ? value : undefined;
    },
    format: formatByteSize,
  };
}

/** One of a few words. */
export function choice<const T extends string>(words: readonly T[]): ValueKind<T> {
  return {
    placeholder: words.join("|"),
    accepts: `one of ${words.join(", ")}`,
    parse: (given) => words.find((word) => word === given),
    format: (value) => value,
    choices: words,
  };
}

/** A path, made absolute: `~/` is the home folder, other relative paths start at the place they were written for. */
export function location(names: "file" | "folder"): ValueKind<string> {
  return {
    placeholder: names === "file" ? "FILE" : "DIR",
    accepts: `the path of a ${names}`,
    parse: (given, base) => {
      if (given.trim() === "" || hasControlCharacter(given)) return undefined;
      return given === "~" || given.startsWith("~/")
        ? path.join(base.home, given.slice(1))
        : path.resolve(base.folder, given);
    },
    format: (value) => value,
    completes: names,
  };
}

/** A host name, an address, or the absolute path of a folder with a Unix socket. */
export function host(): ValueKind<string> {
  return {
    placeholder: "HOST",
    accepts: "a host name, an address or the absolute path of a socket folder",
    parse: (given) => (/^[^\s/]+$/.test(given) || /^\/[^\n\0]*$/.test(given) ? given : undefined),
    format: (value) => value,
  };
}

/**
 * A moment with its zone, as PostgreSQL or ISO 8601 write it: `2026-01-01T03:00:00Z`, `2026-01-01 03:00:00+00`. Digits
 * after the millisecond are dropped, so the value is never later than what was written.
 */
export function moment(): ValueKind<Instant> {
  return {
    placeholder: "TIME",
    accepts: "a time with its zone, for example 2026-01-01T03:00:00Z",
    parse: (given) => {
      const match = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?) ?(Z|[+-]\d\d(?::?\d\d)?)$/.exec(given);
      if (match === null) return undefined;
      const [, date, time, zone = ""] = match;
      const offset = /^[+-]\d\d$/.test(zone) ? `${zone}:00` : zone.replace(/^([+-]\d\d)(\d\d)$/, "$1:$2");
      const value = Date.parse(`${date}T${time?.replace(/(\.\d{3})\d+$/, "$1")}${offset}`);
      return Number.isNaN(value) || !isCalendarDay(date ?? "") ? undefined : (value as Instant);
    },
    format: (value) => new Date(value).toISOString(),
  };
}

// Date.parse takes 2026-02-31 for the third of March.
function isCalendarDay(date: string): boolean {
  const day = new Date(`${date}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(date);
}

function hasControlCharacter(given: string): boolean {
  return /\p{Cc}/u.test(given);
}

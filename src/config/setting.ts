/**
 * What a setting is; the settings themselves are in schema.ts.
 *
 * Nouns: a *setting* is one configurable value; its *path* is `section.name`, from which the flag (`--section-name`) and
 * the environment variable (`LIFEBOAT_SECTION_NAME`) follow.
 */
import type { AnyValueKind, ValueKind } from "./value-kind.ts";

/** What the defaults depend on. */
export type Place = {
  readonly uid: number;
  readonly home: string;
  /** Base folders of the XDG specification; used unless the user is root. */
  readonly stateHome: string;
  readonly dataHome: string;
  readonly configHome: string;
};

/** The value of a setting that nobody set. `documented` is how the reference shows a computed one. */
export type Fallback<T> =
  | { readonly kind: "value"; readonly value: T }
  | { readonly kind: "computed"; readonly of: (place: Place) => T; readonly documented: string }
  | { readonly kind: "absent"; readonly documented: string };

/** One configurable value of type T. */
export type Setting<T> = {
  readonly kind: ValueKind<T>;
  readonly describe: string;
  readonly fallback: Fallback<T>;
  /** `secret`: printed as stars, never taken from the file or a flag, where others could read it. */
  readonly secrecy: "plain" | "secret";
  /** A variable of PostgreSQL that is read when ours is not set. */
  readonly alsoEnvironment?: string;
};

/** A setting that may have no value. */
export type OptionalSetting<T> = Setting<T> & { readonly fallback: { readonly kind: "absent" } };

/** A setting of a type that is not known here: its value can be read and asked for, and written only by its own kind. */
export type AnySetting = Omit<Setting<unknown>, "kind"> & { readonly kind: AnyValueKind };

/** A section and its settings. */
export type Section = { readonly describe: string; readonly settings: Readonly<Record<string, AnySetting>> };

/** A setting with a fixed default. */
export function setting<T>(kind: ValueKind<T>, value: T, describe: string): Setting<T> {
  return {
    kind,
    describe,
    fallback: { kind: "value", value },
    secrecy: "plain",
  };
}

/** A setting whose default depends on who runs Lifeboat and where. */
export function computedSetting<T>(
  kind: ValueKind<T>,
  fallback: { readonly of: (place: Place) => T; readonly documented: string },
  describe: string,
): Setting<T> {
  return {
    kind,
    describe,
    fallback: { kind: "computed", ...fallback },
    secrecy: "plain",
  };
}

/** A setting without a default; `documented` says what its absence means. */
export function optionalSetting<T>(kind: ValueKind<T>, documented: string, describe: string): OptionalSetting<T> {
  return {
    kind,
    describe,
    fallback: { kind: "absent", documented },
    secrecy: "plain",
  };
}

/** The flag of a setting or an option: `server.connectTimeout` gives `--server-connect-timeout`. */
export function flagOf(path: string): string {
  return `--${words(path).join("-")}`;
}

/** The environment variable of a setting: `server.connectTimeout` gives `LIFEBOAT_SERVER_CONNECT_TIMEOUT`. */
export function environmentOf(path: string): string {
  return `LIFEBOAT_${words(path).join("_").toUpperCase()}`;
}

function words(path: string): readonly string[] {
  return path
    .replaceAll(".", "-")
    .replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    .split("-");
}

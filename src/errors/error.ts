/**
 * The one error class. Nouns and rules are in registry.ts.
 */
import type { ErrorEntry, ErrorKind, ExitStatus } from "./entry.ts";
import { ERROR_REGISTRY, type ErrorCode } from "./registry.ts";

/** What a failure says beside its code. Message: lower case, what failed on which object, both values. Remedy: a sentence one can act on. */
export type ErrorFacts = {
  readonly message: string;
  readonly remedy: string;
  /** True when the same call may succeed later without anybody changing anything. Default false. */
  readonly retryable?: boolean;
  readonly cause?: unknown;
  readonly details?: Readonly<Record<string, string | number | boolean>>;
};

/** An expected failure with a code of the registry. Wrap with `cause` to add what was being done; never throw strings. */
export class LifeboatError extends Error {
  readonly code: ErrorCode;
  readonly remedy: string;
  readonly retryable: boolean;
  readonly details: Readonly<Record<string, string | number | boolean>>;

  constructor(code: ErrorCode, facts: ErrorFacts) {
    super(facts.message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = "LifeboatError";
    this.code = code;
    this.remedy = facts.remedy;
    this.retryable = facts.retryable ?? false;
    this.details = facts.details ?? {};
  }

  get kind(): ErrorKind {
    return this.entry.kind;
  }

  get exit(): ExitStatus {
    return this.entry.exit;
  }

  private get entry(): ErrorEntry {
    return ERROR_REGISTRY[this.code];
  }
}

/** Asserts what must hold; a failure is our bug, raised as `platform.assertion-failed`. `what` names the invariant. */
export function assert(condition: boolean, what: string): asserts condition {
  if (condition) return;
  throw new LifeboatError("platform.assertion-failed", {
    message: `invariant broken: ${what}`,
    remedy: "This is a bug in Lifeboat: report it with this text and the stack.",
  });
}

/** True when `error` is a LifeboatError, of the given code where one is given. */
export function isLifeboatError(error: unknown, code?: ErrorCode): error is LifeboatError {
  return error instanceof LifeboatError && (code === undefined || error.code === code);
}

/**
 * What can be wrong with a request, or with us.
 *
 * Nouns: a *problem* is a code, a status and a sentence for whoever reads the answer.
 * Invariants: codes never change their meaning; each has a place in the documentation that the answer links to; an answer never
 * tells what the database said.
 */

/** All codes. */
export const PROBLEMS = {
  VALIDATION_ERROR: { status: 400, meaning: "A parameter or the body is not as documented; the message names it." },
  INVALID_QUERY: { status: 400, meaning: "Nothing to search for: give q or a filter." },
  INVALID_CURSOR: { status: 400, meaning: "The cursor is none of ours, or belongs to another order." },
  MISSING_API_KEY: { status: 401, meaning: "Send a key: Authorization: Bearer <key>." },
  INVALID_API_KEY: { status: 401, meaning: "Nobody has this key." },
  REVOKED_API_KEY: { status: 401, meaning: "This key was rotated or revoked." },
  INSUFFICIENT_SCOPE: { status: 403, meaning: "The key is not for this." },
  PRODUCT_NOT_FOUND: { status: 404, meaning: "There is no such product, or it is not offered any more." },
  CATEGORY_NOT_FOUND: { status: 404, meaning: "No product is in this category." },
  WEBHOOK_NOT_FOUND: { status: 404, meaning: "The key has no such webhook." },
  RUN_NOT_FOUND: { status: 404, meaning: "There is no such ingestion run." },
  ROUTE_NOT_FOUND: { status: 404, meaning: "There is nothing at this path." },
  PAYLOAD_TOO_LARGE: { status: 413, meaning: "The body is larger than 256 KB; of an ingest, than 4 MB." },
  IDEMPOTENCY_KEY_REUSED: { status: 422, meaning: "This idempotency key came before with another request." },
  RATE_LIMIT_EXCEEDED: { status: 429, meaning: "Too many calls this minute; Retry-After says when to go on." },
  INTERNAL_ERROR: { status: 500, meaning: "Our mistake." },
  SERVICE_UNAVAILABLE: {
    status: 503,
    meaning: "No server could do it in time, and nothing of it was done; try again after Retry-After.",
  },
  SCHEMA_OLDER: {
    status: 503,
    meaning:
      "The database is older than this program, as after a restore: nothing was done, and nothing can be until its schema is brought up to date.",
  },
  OUTCOME_UNKNOWN: {
    status: 503,
    meaning:
      "The server was lost at the very end, or nobody confirmed it: it may have been done. With an idempotency key ask again, by the same key: it is done once, and you are told what came of it. Without one, look before you repeat it.",
  },
} as const;

/** One of them. */
export type ProblemCode = keyof typeof PROBLEMS;

/** A request that is answered with a problem. */
export class ApiProblem extends Error {
  readonly code: ProblemCode;
  /** Seconds, for Retry-After. */
  readonly retryAfterS: number | undefined;

  constructor(
    code: ProblemCode,
    message?: string,
    options: { readonly cause?: unknown; readonly retryAfterS?: number } = {},
  ) {
    super(message ?? PROBLEMS[code].meaning, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryAfterS = options.retryAfterS;
  }

  get status(): number {
    return PROBLEMS[this.code].status;
  }
}

/** Where a code is documented. */
export function docUrlOf(code: ProblemCode): string {
  return `/docs/errors#${code.toLowerCase().replaceAll("_", "-")}`;
}

/** The body of an answer, in the form that was asked for: ours, or RFC 9457's. */
export function problemBody(problem: ApiProblem, form: "ours" | "rfc9457"): Readonly<Record<string, unknown>> {
  const { code, message, status } = problem;
  const url = docUrlOf(code);
  if (form === "ours") return { error: { code, message, doc_url: url } };
  return { type: url, title: PROBLEMS[code].meaning, status, detail: message, code };
}

/** Whether a caller asks for RFC 9457: names its type, and does not give it a weight of 0. */
export function formOf(accept: string | undefined): "ours" | "rfc9457" {
  const asked = accept
    ?.toLowerCase()
    .split(",")
    .some((each) => {
      const [type = "", ...parameters] = each.split(";").map((part) => part.trim());
      return type === "application/problem+json" && !parameters.some((part) => /^q=0(\.0*)?$/.test(part));
    });
  return asked === true ? "rfc9457" : "ours";
}

/** The page that doc_url leads to. */
export function problemsPage(): string {
  const rows = Object.entries(PROBLEMS).map(
    ([code, { status, meaning }]) =>
      `<dt id="${code.toLowerCase().replaceAll("_", "-")}"><code>${code}</code> (${status})</dt><dd>${meaning}</dd>`,
  );
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Errors</title><h1>Errors</h1><dl>${rows.join("")}</dl></html>`;
}

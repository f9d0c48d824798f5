/**
 * The API, as a table of routes.
 *
 * Nouns: a *route* is a method, a path, what comes in and what goes out, each by a schema, and what makes the answer; a *read*
 * gets its answer from rows and may be given a kept copy; a *write* runs in one transaction on the primary; a *note* is
 * remembered and written with a later batch, or lost; an *own* read tells a caller of what is theirs, each time anew; a *look* tells of
 * this process alone.
 * Invariants: what the document says of a route and what its requests are checked with is one schema; a read is given nothing to
 * write with; an answer of a read depends on its input alone, never on its caller, so that one copy serves all.
 */
import type { z } from "zod";
import type { CopyTimes } from "../cache/copies.ts";
import type { Reads } from "../database/reads.ts";
import type { Session } from "../database/session.ts";
import type { Caller, Scope, Tier } from "../keys/key.ts";
import type { Discovered } from "./discovery.ts";
import type { Health } from "./health.ts";
import type { ApiTools } from "./tools.ts";

type Method = "GET" | "POST" | "DELETE";

type Common = {
  readonly method: Method;
  /** Fastify's form: /v1/products/:id. */
  readonly path: string;
  /** A name for it, unique. */
  readonly operation: string;
  readonly summary: string;
  readonly answer: z.ZodType;
};

/** What comes in. */
type Inputs<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType> = {
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
};

/** What came in, checked. */
export type Input<P, Q, B> = { readonly params: P; readonly query: Q; readonly body: B };

/** See the header. */
export type ReadRoute<
  P extends z.ZodType = z.ZodType,
  Q extends z.ZodType = z.ZodType,
  B extends z.ZodType = z.ZodType,
> = Common &
  Inputs<P, Q, B> & {
    readonly kind: "read";
    readonly times: CopyTimes;
    /** Makes the answer; as JSON in UTF-8 where that is made of rows directly, and then by the schema all the same. */
    readonly load: (reads: Reads, input: Input<z.output<P>, z.output<Q>, z.output<B>>) => Promise<object | Buffer>;
    /** What of it is remembered of a search: its words and how many it found. */
    readonly searched?: (input: Input<z.output<P>, z.output<Q>, z.output<B>>) => string | undefined;
  };

/** See the header. */
export type WriteRoute<
  P extends z.ZodType = z.ZodType,
  Q extends z.ZodType = z.ZodType,
  B extends z.ZodType = z.ZodType,
> = Common &
  Inputs<P, Q, B> & {
    readonly kind: "write";
    /** Undefined: anybody, limited by address. */
    readonly scope: Scope | undefined;
    /** A body that is longer than others may be: none of it is kept before its caller is let in. */
    readonly bodyBytesMax?: number;
    /** Calls of this route a minute, by tier, beside those of all together; the operator's are not counted. */
    readonly callsMax?: Readonly<Record<Tier, number>>;
    /** Calls of this route an hour from one address, of all there whom the operator gave no key of a tier above free. */
    readonly addressHourMax?: number;
    readonly status: 200 | 201 | 202;
    /** Whether running it twice comes to the same, also without an idempotency key. */
    readonly isNatural: boolean;
    /** The answer holds a secret: it is kept sealed, and an idempotency key must be long enough to be nobody's guess. */
    readonly isSecret?: boolean;
    /** The key that asks ends with it: who asks again by an idempotency key, having had no answer, shows a key that is revoked. */
    readonly endsKey?: boolean;
    readonly act: (
      session: Session,
      input: Input<z.output<P>, z.output<Q>, z.output<B>>,
      at: { readonly caller: Caller | undefined; readonly tools: ApiTools },
    ) => Promise<object>;
    /** Once it is done for good. */
    readonly afterwards?: (
      answer: object,
      at: { readonly caller: Caller | undefined; readonly tools: ApiTools },
    ) => Promise<void>;
  };

/** See the header. */
export type NoteRoute<P extends z.ZodType = z.ZodType> = Common &
  Pick<Inputs<P, z.ZodType, z.ZodType>, "params"> & {
    readonly kind: "note";
    readonly scope: Scope;
    /** Nobody waits for anything. */
    readonly note: (
      input: { readonly params: z.output<P> },
      at: { readonly caller: Caller; readonly tools: ApiTools },
    ) => void;
  };

/** See the header. */
export type OwnRoute<Q extends z.ZodType = z.ZodType> = Common &
  Pick<Inputs<z.ZodType, Q, z.ZodType>, "query"> & {
    readonly kind: "own";
    readonly method: "GET";
    readonly scope: Scope;
    readonly load: (reads: Reads, input: { readonly query: z.output<Q> }, caller: Caller) => Promise<object>;
  };

/** What a look shows. */
export type Look = {
  readonly health: Health;
  readonly tools: ApiTools;
  /** The document of all routes, as JSON. */
  readonly document: string;
  readonly discovered: Discovered;
};

/** See the header. Anybody may look, and is not counted. */
export type LookRoute = Common & {
  readonly kind: "look";
  readonly method: "GET";
  /** Several pages may be one operation in the counts. */
  readonly counted: "health" | "metrics" | "document";
  /** Default: JSON. */
  readonly media?: string;
  /** Other statuses than 200 that have the same form. */
  readonly statuses?: readonly 503[];
  readonly show: (look: Look) => { readonly status?: 200 | 503; readonly body: object | string };
};

/** Any route, whatever its schemas. */
export type Route =
  | { readonly kind: "read"; readonly route: ReadRoute }
  | { readonly kind: "write"; readonly route: WriteRoute }
  | { readonly kind: "note"; readonly route: NoteRoute }
  | { readonly kind: "own"; readonly route: OwnRoute }
  | { readonly kind: "look"; readonly route: LookRoute };

/** What a route is answered with when all is well. */
export function statusOf({ kind, route }: Route): number {
  return kind === "write" ? route.status : kind === "note" ? 202 : 200;
}

/** Types a read by its schemas, then forgets them: a table holds routes of all kinds. */
export function read<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>(
  route: Omit<ReadRoute<P, Q, B>, "kind">,
): Route {
  return { kind: "read", route: { ...route, kind: "read" } as unknown as ReadRoute };
}

/** As `read`, of a write. */
export function write<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>(
  route: Omit<WriteRoute<P, Q, B>, "kind">,
): Route {
  return { kind: "write", route: { ...route, kind: "write" } as unknown as WriteRoute };
}

/** As `read`, of a note. */
export function note<P extends z.ZodType>(route: Omit<NoteRoute<P>, "kind" | "method">): Route {
  return { kind: "note", route: { ...route, kind: "note", method: "POST" } as unknown as NoteRoute };
}

/** As `read`, of an own read. */
export function own<Q extends z.ZodType>(route: Omit<OwnRoute<Q>, "kind" | "method">): Route {
  return { kind: "own", route: { ...route, kind: "own", method: "GET" } as unknown as OwnRoute };
}

/** As `read`, of a look. */
export function look(route: Omit<LookRoute, "kind" | "method">): Route {
  return { kind: "look", route: { ...route, kind: "look", method: "GET" } };
}

/**
 * Whose WAL a receiver may confirm: its mandate, and the record of it in the spool.
 *
 * Nouns: a *mandate* is the order to follow one server, given in an epoch, which is the *reign* of that server; it is
 * *withdrawn* for the sake of a later epoch; a *grant* permits to confirm under it, for a while or *lasting*.
 * Invariants: the epoch on disk never falls; what is withdrawn is on stable storage before anybody is told so, and a
 * receiver that starts believes the record and nothing else (rule B4). A spool without a record has the mandate of reign 0:
 * the configured server, with a lasting grant. The format is specified in docs/formats/witness.md.
 */
import path from "node:path";
import { z } from "zod";
import { assert, isLifeboatError } from "../errors/error.ts";
import { writeDurable } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import type { RandomSource } from "../platform/random.ts";
import { formatLsn, type Lsn, type SystemId, type Timeline } from "../postgres/lsn.ts";
import type { ConnectOptions } from "../postgres/replication.ts";
import { spoolDamaged } from "./spool-state.ts";
import { lsnSchema, systemIdSchema, timelineSchema } from "./wal-json.ts";

/** Where a server listens. */
export type Upstream = { readonly host: string; readonly port: number };

/** Whom to follow. What is undefined is not checked, but for the server: that is the configured one then. */
export type MandateTerms = {
  /** From 1; 0 is the reign that nobody declared. */
  readonly reign: number;
  readonly upstream: Upstream | undefined;
  readonly systemId: SystemId | undefined;
  /** The timeline that the server must be on, and where that must have begun. */
  readonly timeline: Timeline | undefined;
  readonly switchLsn: Lsn | undefined;
};

/** What the spool remembers. */
export type MandateRecord = {
  /** The greatest epoch that was seen. */
  readonly epoch: number;
  /** See Grant in mandates.ts; undefined before the first comparison. */
  readonly contiguousWith: Lsn | undefined;
} & (
  | (MandateTerms & {
      readonly kind: "following";
      /** Whether a grant was given that lasts until the mandate is withdrawn, also through restarts. */
      readonly lasting: boolean;
    })
  /** Nothing is received before there is a mandate of this epoch or a later one. */
  | { readonly kind: "withdrawn" }
);

/** The record of a mandate. */
export type FollowingRecord = MandateRecord & { readonly kind: "following" };

/** A mandate in force. */
export type Mandate = MandateTerms & {
  /** Aborts when it has ended. */
  readonly ended: AbortSignal;
  /**
   * Asked right before each report to the server; false: what was reported before stays. `rangeFrom` is where the
   * gap-free range begins that is held.
   */
  readonly mayConfirm: (rangeFrom: Lsn | undefined) => boolean;
};

const NO_TERMS = { upstream: undefined, systemId: undefined, timeline: undefined, switchLsn: undefined };

/** The record of a spool about which nobody has ever decided anything. */
export const UNGOVERNED: FollowingRecord = {
  kind: "following",
  epoch: 0,
  reign: 0,
  ...NO_TERMS,
  contiguousWith: undefined,
  lasting: true,
};

/** What there is while there is none. */
export const NO_MANDATE: Mandate = { reign: 0, ...NO_TERMS, ended: AbortSignal.abort(), mayConfirm: () => false };

/** PostgreSQL cuts the name of a connection behind so many bytes. */
const NAME_BYTES_MAX = 63;

/** Far above any number of failovers, and `_e2000000000` is short enough for a name. */
export const EPOCH_MAX = 2_000_000_000;

const RECORD_FILE = "mandate.json";
const FORMAT = "lifeboat-mandate";
const VERSION = 1;

/**
 * The name that a connection gives in a reign, which synchronous_standby_names must list for it to count: a party that was
 * left behind in an earlier one has another name (rule B4).
 */
export function nameInReign(name: string, reign: number): string {
  const full = reign === 0 ? name : `${name}_e${reign}`;
  assert(Buffer.byteLength(full) <= NAME_BYTES_MAX, `the name ${full} fits into ${NAME_BYTES_MAX} bytes`);
  return full;
}

/** How to reach the server of a mandate: as configured, but for the address and the name. */
export function addressUnder(mandate: MandateTerms, configured: ConnectOptions): ConnectOptions {
  const { reign, upstream } = mandate;
  return { ...configured, ...upstream, applicationName: nameInReign(configured.applicationName, reign) };
}

/** Epochs in JSON. */
export const epochSchema = z.int().min(1).max(EPOCH_MAX);

/** Terms in JSON; null for undefined. */
export const TERMS_SCHEMA = {
  upstream: z.strictObject({ host: z.string().min(1), port: z.int().min(1).max(65_535) }).nullable(),
  systemId: systemIdSchema.nullable(),
  timeline: timelineSchema.nullable(),
  switchLsn: lsnSchema.nullable(),
};

const headSchema = {
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  epoch: epochSchema,
  contiguousWith: lsnSchema.nullable(),
};

const recordSchema = z.discriminatedUnion("mandate", [
  z.strictObject({
    ...headSchema,
    mandate: z.literal("following"),
    reign: z.int().min(0).max(EPOCH_MAX),
    ...TERMS_SCHEMA,
    lasting: z.boolean(),
  }),
  z.strictObject({ ...headSchema, mandate: z.literal("withdrawn") }),
]);

type Sent = { readonly [K in keyof typeof TERMS_SCHEMA]: z.output<(typeof TERMS_SCHEMA)[K]> };

/** Terms as they are used, from JSON. */
export function termsOf(sent: Sent & { readonly reign: number }): MandateTerms {
  const { reign, upstream, systemId, timeline, switchLsn } = sent;
  return {
    reign,
    upstream: upstream ?? undefined,
    systemId: systemId ?? undefined,
    timeline: timeline ?? undefined,
    switchLsn: switchLsn ?? undefined,
  };
}

/** Terms for JSON. */
export function termsJson({ reign, upstream, systemId, timeline, switchLsn }: MandateTerms) {
  return {
    reign,
    upstream: upstream ?? null,
    systemId: systemId ?? null,
    timeline: timeline ?? null,
    switchLsn: positionJson(switchLsn),
  };
}

/** A position for JSON. */
export function positionJson(lsn: Lsn | undefined): string | null {
  return lsn === undefined ? null : formatLsn(lsn);
}

/** The record of a spool; UNGOVERNED when there is none. Throws `wal.spool-damaged`. */
export async function readMandate(files: Files, spool: string): Promise<MandateRecord> {
  const file = path.join(spool, RECORD_FILE);
  let bytes: Buffer;
  try {
    bytes = await files.readFile(file);
  } catch (error) {
    if (isLifeboatError(error, "platform.file-missing")) return UNGOVERNED;
    throw error;
  }
  try {
    const read = recordSchema.parse(JSON.parse(`${bytes}`));
    const shared = { epoch: read.epoch, contiguousWith: read.contiguousWith ?? undefined };
    if (read.mandate === "withdrawn") return { kind: "withdrawn", ...shared };
    return { kind: "following", ...shared, ...termsOf(read), lasting: read.lasting };
  } catch (cause) {
    throw spoolDamaged(file, "it is not a mandate of a version this program reads", cause);
  }
}

/** Replaces the record of a spool; survives a power cut once this returns. */
export async function writeMandate(
  tools: { readonly files: Files; readonly random: RandomSource },
  spool: string,
  record: MandateRecord,
): Promise<void> {
  const { kind, epoch, contiguousWith } = record;
  const head = { format: FORMAT, version: VERSION, mandate: kind, epoch, contiguousWith: positionJson(contiguousWith) };
  const stored = kind === "withdrawn" ? head : { ...head, ...termsJson(record), lasting: record.lasting };
  await writeDurable(tools.files, {
    file: path.join(spool, RECORD_FILE),
    parts: [Buffer.from(`${JSON.stringify(stored, undefined, 2)}\n`)],
    over: "replace",
    unique: tools.random(8).toString("hex"),
  });
}

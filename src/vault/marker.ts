/**
 * The marker that makes a store a vault, and its copy.
 *
 * Nouns: the *marker* `vault.json` has the id of the vault, to which every key wrap is bound; its *copy* `notes/vault` has the
 * same bytes.
 * Invariants: without the id no key opens, so it lies in two places; the copy is put after the marker, so that what has one is
 * a vault; of two that differ the one counts under which the keys open; a marker of a later version is never passed over for
 * its copy; a store with keys and data and neither of both is never taken for an empty one.
 */
import { z } from "zod";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { formatInstant, type Instant } from "../platform/clock.ts";
import type { Store } from "../store/store.ts";
import { objectDamaged } from "./header.ts";
import { readGivenWraps } from "./key-open.ts";
import { BACKUPS_PREFIX, KEYS_PREFIX, PACKS_PREFIX, VAULT_MARKER, VAULT_MARKER_COPY, WAL_PREFIX } from "./names.ts";
import { refusedJson } from "./refused-json.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

const markerSchema = z.strictObject({
  format: z.literal("lifeboat-vault"),
  version: z.literal(1),
  vaultId: z.string().regex(/^[0-9a-f]{32}$/),
  createdAt: z.iso.datetime(),
});

/** What lies under one of the two names. */
type Found =
  | { readonly kind: "sound"; readonly id: string; readonly madeMs: number; readonly bytes: Buffer }
  | { readonly kind: "absent"; readonly reason: LifeboatError }
  /** Damaged, of a later version, or the disk does not give it. */
  | { readonly kind: "unusable"; readonly reason: LifeboatError };

/** The bytes of a marker. */
export function encodeMarker(of: { readonly vaultId: string; readonly createdAt: Instant }): Buffer {
  const { vaultId, createdAt } = of;
  const marker = { format: "lifeboat-vault", version: 1, vaultId, createdAt: formatInstant(createdAt) };
  return Buffer.from(`${JSON.stringify(marker, undefined, 2)}\n`);
}

/**
 * The id of the vault that lies in a store, from the marker, or from its copy where the marker is lost or damaged. Throws
 * `vault.not-a-vault`, `vault.marker-lost`, `vault.format-unknown`, `vault.object-damaged`, or what the store throws.
 */
export async function readVaultId(store: Store, options: CallOptions): Promise<string> {
  const marker = await find(store, VAULT_MARKER, options);
  if (marker.kind === "sound") return marker.id;
  if (marker.reason.code === "vault.format-unknown") throw marker.reason;
  const copy = await find(store, VAULT_MARKER_COPY, options);
  if (copy.kind === "sound") return copy.id;
  for (const { kind, reason } of [marker, copy]) if (kind === "unusable") throw reason;
  if (await holdsVaultData(store, options)) throw markerLost(store.name);
  throw new LifeboatError("vault.not-a-vault", {
    message: `${store.name} holds no vault: there is no ${VAULT_MARKER}`,
    remedy: "Check the vault's path, or make a vault there with `lifeboat vault init`.",
    cause: marker.reason,
  });
}

/** What the copy of the marker says beside an id: another one; the same; or nothing, where it cannot be read. */
export async function askCopy(
  store: Store,
  id: string,
  options: CallOptions,
): Promise<{ readonly other: string | undefined; readonly confirmed: boolean }> {
  const copy = await find(store, VAULT_MARKER_COPY, options);
  const found = copy.kind === "sound" ? copy.id : undefined;
  return { other: found === id ? undefined : found, confirmed: found === id };
}

/** The ids that the marker and its copy say, each once. Throws as `readVaultId` does. */
export async function readVaultIds(store: Store, options: CallOptions): Promise<readonly string[]> {
  const id = await readVaultId(store, options);
  const { other } = await askCopy(store, id, options);
  return other === undefined ? [id] : [id, other];
}

/** Whether a store is that of the vault with this id: its marker says so, or the copy. Throws as `readVaultId` does. */
export async function isStoreOf(
  store: Store,
  id: string,
  options: CallOptions,
): Promise<true | { readonly other: string }> {
  const there = await readVaultId(store, options);
  return there === id || (await askCopy(store, there, options)).other === id ? true : { other: there };
}

/**
 * When an opened vault was made, by the clock of then, as its marker says or the copy; undefined where what lies there names another
 * vault. Throws why neither of them can be read.
 */
export async function readMadeMs(
  { store, id }: { readonly store: Store; readonly id: string },
  options: CallOptions,
): Promise<number | undefined> {
  const marker = await find(store, VAULT_MARKER, options);
  if (marker.kind === "sound" && marker.id === id) return marker.madeMs;
  const copy = await find(store, VAULT_MARKER_COPY, options);
  if (copy.kind === "sound" && copy.id === id) return copy.madeMs;
  if (marker.kind !== "sound") throw marker.reason;
  return undefined;
}

/** Puts the marker or its copy where one of them is not there. For whoever has opened the vault and writes into it. */
export async function keepMarkers(
  vault: { readonly store: Store; readonly id: string },
  options: CallOptions,
): Promise<void> {
  const { again } = await judgeMarkers(vault, options);
  for (const [name, bytes] of again) {
    // What is damaged is a repair's to set aside.
    if ((await vault.store.head(name, options)) !== undefined) continue;
    try {
      await vault.store.put(name, [bytes], options);
    } catch (error) {
      // Another process was faster.
      if (!isLifeboatError(error, "store.object-exists")) throw error;
    }
  }
}

/** What is wrong with the marker and its copy in an opened vault. */
export type MarkerJudgement = {
  readonly findings: readonly { readonly object: string; readonly reason: LifeboatError }[];
  /** The copy is not there. A vault of an earlier version has none until its next backup. */
  readonly lacksCopy: boolean;
  /** What is to lie under a name, where something else does or nothing. */
  readonly again: ReadonlyMap<string, Buffer>;
};

/** Compares both with the id under which the keys opened. */
export async function judgeMarkers(
  { store, id }: { readonly store: Store; readonly id: string },
  options: CallOptions,
): Promise<MarkerJudgement> {
  const found = {
    [VAULT_MARKER]: await find(store, VAULT_MARKER, options),
    [VAULT_MARKER_COPY]: await find(store, VAULT_MARKER_COPY, options),
  };
  const right = Object.values(found).find((each) => each.kind === "sound" && each.id === id);
  const findings: MarkerJudgement["findings"][number][] = [];
  const again = new Map<string, Buffer>();
  for (const [object, each] of Object.entries(found)) {
    if (each.kind === "sound" && each.id === id) continue;
    const isLackingCopy = each.kind === "absent" && object === VAULT_MARKER_COPY;
    if (!isLackingCopy) findings.push({ object, reason: whyWrong(object, each, id) });
    const unclear = each.kind === "sound" && (await isOpen(store, options));
    if (right?.kind === "sound" && !unclear) again.set(object, right.bytes);
  }
  return { findings, lacksCopy: found[VAULT_MARKER_COPY]?.kind === "absent", again };
}

function whyWrong(object: string, found: Found, id: string): LifeboatError {
  if (found.kind === "sound") {
    return objectDamaged(object, `it names vault ${found.id}, and this one was opened as vault ${id}`);
  }
  if (found.kind === "unusable") return found.reason;
  return new LifeboatError("vault.object-missing", {
    message: `${object}, which makes the store a vault, is not there; its copy ${VAULT_MARKER_COPY} stands in for it`,
    remedy: "Run `lifeboat vault repair`: it is made again from its copy.",
    details: { object },
  });
}

/** Nothing of a vault that is not encrypted is bound to its id: of two that differ nobody can tell which is right. */
async function isOpen(store: Store, options: CallOptions): Promise<boolean> {
  return (await readGivenWraps(store, options)).wraps.some(({ wrap }) => wrap.method.kind === "open");
}

async function find(store: Store, name: string, options: CallOptions): Promise<Found> {
  let bytes: Buffer;
  try {
    bytes = await store.get(name, options);
  } catch (error) {
    if (isLifeboatError(error, "store.object-missing")) return { kind: "absent", reason: error };
    if (isLifeboatError(error, "store.failed") || isLifeboatError(error, "vault.object-damaged")) {
      return { kind: "unusable", reason: error };
    }
    throw error;
  }
  const text = bytes.toString("utf8");
  try {
    const { vaultId, createdAt } = markerSchema.parse(JSON.parse(text));
    return { kind: "sound", id: vaultId, madeMs: Date.parse(createdAt), bytes };
  } catch (cause) {
    return { kind: "unusable", reason: refusedJson(name, text, { why: "it is not a vault's marker", cause }) };
  }
}

/** Keys, and what they seal. Keys alone are left by a making that was cut short. */
async function holdsVaultData(store: Store, options: CallOptions): Promise<boolean> {
  if (!(await holdsAny(store, KEYS_PREFIX, options))) return false;
  for (const prefix of [BACKUPS_PREFIX, PACKS_PREFIX, WAL_PREFIX]) {
    if (await holdsAny(store, prefix, options)) return true;
  }
  return false;
}

async function holdsAny(store: Store, prefix: string, options: CallOptions): Promise<boolean> {
  for await (const _ of store.list(prefix, options)) return true;
  return false;
}

/** The error of a vault whose id is not there any more. */
export function markerLost(storeName: string): LifeboatError {
  return new LifeboatError("vault.marker-lost", {
    message: `${storeName} holds a vault that lost its marker: keys and backups are there, and neither ${VAULT_MARKER} nor its copy ${VAULT_MARKER_COPY}`,
    remedy: `Copy ${VAULT_MARKER} back from another copy of the vault; it never changes. Never make a vault there: the keys open only with the id that is in that file. docs/operating.md says where else the id is found.`,
    retryable: true,
  });
}

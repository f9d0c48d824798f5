/**
 * Wraps of data keys for age recipients.
 *
 * Nouns: a *recipient* (`age1…`) is public; its *identity* is the secret half, in a file that age itself makes and reads; a
 * *voucher* is a code over a wrap that only the holder of another data key could make; a *pin* is a line in the identity
 * file that names one data key by its fingerprint.
 * Invariant: sealing for a recipient needs no secret, so whoever can write to the store could add a wrap around a data key
 * of his own and have new backups sealed with it. Therefore a data key from an age wrap counts only when it is the pinned
 * one, or when one that counts vouches for it; and nobody wraps for a recipient whose wrap his newest data key does not vouch for:
 * an older one may be in the hands of somebody who was removed. For the same reason the last pin decides what seals.
 * Source: the age format, https://age-encryption.org/v1.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { assert, LifeboatError } from "../errors/error.ts";
import { formatInstant, type Instant } from "../platform/clock.ts";
import { encodeKeyJson, type KeyWrap, labelOf, wrapMeaning } from "./keys.ts";
import type { KeyId } from "./names.ts";
import { type DataKey, derivePurposeKey } from "./sealing.ts";

const VOUCHER_PURPOSE = "lifeboat key voucher v1";
const FINGERPRINT_BYTES = 16;
const DATA_KEY_BYTES = 32;
/** Identities tried on one wrap; a file with more is no key file. */
const IDENTITIES_MAX = 64;

/** A wrap for an age recipient. */
export type AgeWrap = Extract<KeyWrap, { version: 2 }> & {
  readonly method: Extract<KeyWrap["method"], { kind: "age" }>;
};

/** True for a wrap that an age identity opens. */
export function isAgeWrap(wrap: KeyWrap): wrap is AgeWrap {
  return wrap.method.kind === "age";
}

/** Seals a data key for a recipient, vouched for by every key of `known`. Throws `vault.age-unusable`. */
export async function wrapForRecipient(wrap: {
  readonly vaultId: string;
  readonly dataKey: DataKey;
  readonly recipient: string;
  readonly label: string;
  readonly now: Instant;
  readonly known: readonly DataKey[];
}): Promise<Buffer> {
  const { dataKey, recipient, label, vaultId } = wrap;
  const { Encrypter } = await import("age-encryption");
  const encrypter = new Encrypter();
  try {
    encrypter.addRecipient(recipient);
  } catch (cause) {
    throw unusable(`"${recipient}" is no age recipient`, "Give a recipient as age-keygen prints it: age1….", cause);
  }
  const file = await encrypter.encrypt(dataKey.secret);
  const createdAt = formatInstant(wrap.now);
  const meaning = wrapMeaning({ vaultId, keyId: dataKey.id, createdAt, label });
  const vouchers = wrap.known.map((by) => ({
    by: by.id,
    mac: voucher(by, { meaning, recipient, dataKey }).toString("base64"),
  }));
  const method = { kind: "age", recipient, file: Buffer.from(file).toString("base64"), vouchers };
  return encodeKeyJson({
    format: "lifeboat-key-wrap",
    version: 2,
    keyId: dataKey.id,
    createdAt,
    label,
    method,
  });
}

/** True when one of these data keys vouches for the wrap, whose own data key is known. */
export function isVouchedFor(
  wrap: AgeWrap,
  of: { readonly vaultId: string; readonly dataKey: DataKey | undefined; readonly by: readonly DataKey[] },
): boolean {
  const { dataKey } = of;
  return dataKey !== undefined && vouchedBy(wrap, { ...of, dataKey });
}

/** A data key that an identity opened, and the wrap it came from. */
export type OpenedAgeWrap = { readonly wrap: AgeWrap; readonly dataKey: DataKey };

/**
 * Opens the wraps that one of the identities fits and whose data keys the pins make trustworthy; none when no identity
 * fits. `pinned` is the data key of the last pin that names one of them. Throws `vault.age-unusable` for a file without
 * identities, `vault.identity-unpinned` when the file does not say which data key of this vault to trust, or none of those
 * found is.
 */
export async function openAgeWraps(
  wraps: readonly KeyWrap[],
  tools: { readonly vaultId: string; readonly identities: string },
): Promise<{ readonly opened: readonly OpenedAgeWrap[]; readonly pinned: DataKey | undefined }> {
  const { vaultId } = tools;
  const identities = parseIdentities(tools.identities);
  const opened: OpenedAgeWrap[] = [];
  for (const wrap of wraps.filter(isAgeWrap)) {
    const secret = await decrypt(wrap.method.file, identities);
    if (secret?.byteLength === DATA_KEY_BYTES) opened.push({ wrap, dataKey: { id: wrap.keyId, secret } });
  }
  if (opened.length === 0) return { opened, pinned: undefined };
  const pins = parsePins(tools.identities, vaultId);
  const trusted = new Map<KeyId, DataKey>();
  let pinned: DataKey | undefined;
  for (const pin of pins) {
    const named = opened.find(({ dataKey }) => fingerprint(dataKey, vaultId) === pin)?.dataKey;
    if (named === undefined) continue;
    trusted.set(named.id, named);
    pinned = named;
  }
  if (pinned === undefined) throw unpinned(opened, vaultId, pins.length > 0);
  // Each pass adds a key that an earlier one vouches for; there are no more passes than keys.
  for (let grew = true; grew; ) {
    grew = false;
    for (const { wrap, dataKey } of opened) {
      if (trusted.has(dataKey.id)) continue;
      if (!vouchedBy(wrap, { vaultId, dataKey, by: [...trusted.values()] })) continue;
      trusted.set(dataKey.id, dataKey);
      grew = true;
    }
  }
  // A wrap of a trusted key may still be a stranger's: an old one copied with a new date.
  const genuine = opened.filter(
    ({ wrap, dataKey }) =>
      trusted.get(dataKey.id)?.secret.equals(dataKey.secret) === true &&
      vouchedBy(wrap, { vaultId, dataKey, by: [...trusted.values()] }),
  );
  return { opened: genuine, pinned };
}

/**
 * The data key that seals, of those that an identity opened, given from the oldest to the newest: the newest that the pinned one,
 * or one behind it that counts, vouches for. Who keeps an older data key, as one who was removed, can vouch with that one only.
 */
export function newestBehindPin(
  byAge: readonly DataKey[],
  of: { readonly vaultId: string; readonly opened: readonly OpenedAgeWrap[]; readonly pinned: DataKey },
): DataKey | undefined {
  const { vaultId, opened, pinned } = of;
  const counting = [pinned];
  for (const dataKey of byAge.slice(byAge.findIndex(({ id }) => id === pinned.id) + 1)) {
    const wraps = opened.filter(({ wrap }) => wrap.keyId === dataKey.id);
    if (wraps.some(({ wrap }) => vouchedBy(wrap, { vaultId, dataKey, by: counting }))) counting.push(dataKey);
  }
  return counting.findLast((dataKey) => byAge.some(({ id }) => id === dataKey.id));
}

/** The line that makes an identity file trust this data key; age takes it for a comment. */
export function pinLine(dataKey: DataKey, vaultId: string): string {
  return `# lifeboat-vault ${vaultId} ${fingerprint(dataKey, vaultId)}`;
}

function fingerprint(dataKey: DataKey, vaultId: string): string {
  return derivePurposeKey(dataKey, `lifeboat key fingerprint v1\n${vaultId}`)
    .subarray(0, FINGERPRINT_BYTES)
    .toString("hex");
}

function voucher(
  by: DataKey,
  of: { readonly meaning: Buffer; readonly recipient: string; readonly dataKey: DataKey },
): Buffer {
  assert(of.dataKey.secret.byteLength === DATA_KEY_BYTES, "a data key has 32 bytes");
  return createHmac("sha256", derivePurposeKey(by, VOUCHER_PURPOSE))
    .update(of.meaning)
    .update(`\n${of.recipient}\n`)
    .update(of.dataKey.secret)
    .digest();
}

function vouchedBy(
  wrap: AgeWrap,
  of: { readonly vaultId: string; readonly dataKey: DataKey; readonly by: readonly DataKey[] },
): boolean {
  const { keyId, createdAt, method } = wrap;
  const meaning = wrapMeaning({ vaultId: of.vaultId, keyId, createdAt, label: labelOf(wrap) });
  return of.by.some((by) => {
    const given = method.vouchers.find((each) => each.by === by.id);
    if (given === undefined) return false;
    return timingSafeEqual(given.mac, voucher(by, { meaning, recipient: method.recipient, dataKey: of.dataKey }));
  });
}

function parseIdentities(text: string): readonly string[] {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const identities = lines.filter((line) => line !== "" && !line.startsWith("#"));
  if (identities.length > 0 && identities.length <= IDENTITIES_MAX) return identities;
  throw unusable(
    `the identity file holds ${identities.length} identities, from 1 to ${IDENTITIES_MAX} can be used`,
    "Give a file as age-keygen writes it.",
  );
}

function parsePins(text: string, vaultId: string): readonly string[] {
  const pins = text.matchAll(/^# lifeboat-vault ([0-9a-f]{32}) ([0-9a-f]{32})[ \t\r]*$/gm);
  return [...pins].filter((pin) => pin[1] === vaultId).map((pin) => pin[2] ?? "");
}

async function decrypt(file: Buffer, identities: readonly string[]): Promise<Buffer | undefined> {
  const { Decrypter } = await import("age-encryption");
  const decrypter = new Decrypter();
  for (const identity of identities) {
    try {
      decrypter.addIdentity(identity);
    } catch (cause) {
      // The cause is left out: it could quote the identity.
      throw unusable(
        "a line of the identity file is no age identity",
        "Identities begin with AGE-SECRET-KEY-; plugins and SSH keys cannot be used.",
        cause instanceof Error ? new Error(cause.name) : undefined,
      );
    }
  }
  try {
    return Buffer.from(await decrypter.decrypt(file));
  } catch {
    // Made for somebody else, or damaged: to who holds this identity both mean that this wrap does not open.
    return undefined;
  }
}

function unpinned(opened: readonly OpenedAgeWrap[], vaultId: string, hasPin: boolean): LifeboatError {
  const lines = [...new Set(opened.map(({ dataKey }) => pinLine(dataKey, vaultId)))];
  const found = `the identity opens ${lines.length} data key${lines.length === 1 ? "" : "s"} of vault ${vaultId}`;
  return new LifeboatError("vault.identity-unpinned", {
    message: `${found}, and the identity file ${hasPin ? "names another" : "names none"} as the one to trust`,
    remedy: `Append the line that \`lifeboat vault key add --age\` printed. If it is lost and nobody else could write to the vault, append: ${lines.join(" or ")}`,
  });
}

function unusable(message: string, remedy: string, cause?: unknown): LifeboatError {
  return new LifeboatError("vault.age-unusable", { message, remedy, cause });
}

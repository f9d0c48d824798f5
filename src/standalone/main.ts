/**
 * Restores a backup from a copy of a vault, with the vault's key and Node.js and nothing else: this file is stored in every
 * vault, so that what lies there outlives the program that wrote it.
 *
 *   node restore-10.ts --list
 *   node restore-10.ts --target FOLDER [--backup ID] [--passphrase-file FILE | --recovery-key-file FILE | --identity-file FILE]
 *
 * Nouns: *objects* are the files of the vault; a *data key* opens them; a *manifest* says where the bytes of a backup lie.
 * Invariants: nothing is imported but Node's own modules; the vault is only read; what does not open is never guessed at; the
 * target is empty or not there; the control file is written last, so a restore that was cut short does not start.
 * Written from the pages of docs/formats alone. A change to this file makes a new version: vaults keep those they have.
 */
import {
  argon2Sync,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  timingSafeEqual,
} from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { zstdDecompressSync } from "node:zlib";

const PROGRAM_VERSION = 10;
const PAGE_BYTES = 8192;
const CONTROL_FILE = "global/pg_control";
const OUTSIDE = "lifeboat-outside/";
const LEFT_OUT = new Set(["tablespace_map", "standby.signal", "recovery.signal", "postmaster.pid"]);
const OPEN_FILES_MAX = 200;
const ARGON2_KIB_MAX = 1_048_576;

const USAGE = `Usage: node restore-${PROGRAM_VERSION}.ts --list | --target FOLDER
  --vault FOLDER              the copy of the vault (default: the one this program lies in)
  --vault-id ID               its id, where vault.json and notes/vault are lost: vault init printed it, a receiver's state.json has it
  --passphrase-file FILE      a file with the vault's passphrase; else it is read from standard input
  --recovery-key-file FILE    a file with the recovery key
  --identity-file FILE        a file with an age identity, and the line that names the data key to trust
  --list                      list the backups
  --system ID                 the system whose backup it is; needed where the vault holds several and no --backup is named
  --backup ID                 which backup (default: the newest that had ended by the time or position, if one is given; one
                              that failed its proof only where no other serves)
  --target FOLDER             the data directory to make; empty or not there
  --tablespaces-under FOLDER  where tablespaces go, each into a folder of its OID (default: FOLDER-tablespaces)
  --until-time TIME           replay up to this time, as PostgreSQL writes times; with its zone: 2026-01-01 02:59:30+00
  --until-lsn LSN             replay up to this position
  --timeline N                follow this timeline (default: the newest that grew out of the backup's)
  --history FILE              the history of a timeline that the vault has lost, as it lies in pg_wal: 00000002.history
`;

/** The names of what is read. Others lie in a copy as well: what a desktop, a file server or an editor leaves. */
const SYSTEM = /^\d{1,20}$/;
const BACKUP = /^\d{8}t\d{6}z-[0-9a-f]{8}$/;
const PROOF = /^proof-\d{8}t\d{6}z-[0-9a-f]{8}$/;
const TIMELINE = /^[0-9a-f]{8}$/;
const SEGMENT = /^[0-9a-f]{24}$/;
const KEY = /^[0-9a-f]{32}$/;
const WRAP = /^[0-9a-f]{16}\.json$/;

const MARK = "\uFEFF";

/** Something that the operator has to know; its message is all that is printed. */
class Stop extends Error {}

/** An object that is not there, or is not what was stored. */
class Damaged extends Stop {}

type Secret =
  | { readonly kind: "open" }
  | { readonly kind: "passphrase"; readonly text: string }
  | { readonly kind: "recovery-key"; readonly text: string }
  | { readonly kind: "age"; readonly text: string };

type Keys = ReadonlyMap<string, Buffer>;
type Vault = { readonly folder: string; readonly keys: Keys };

type Voucher = Readonly<Record<"by" | "mac", string>>;
type Method = {
  readonly kind: string;
  readonly memoryKiB?: number;
  readonly passes?: number;
  readonly vouchers?: readonly Voucher[];
} & Readonly<Record<"secret" | "salt" | "sealed" | "recipient" | "file", string | undefined>>;
type Wrap = { readonly version: number; readonly label?: string; readonly method: Method } & Readonly<
  Record<"keyId" | "createdAt", string>
>;

/** The id that the marker says, or its copy; both where they differ. */
function vaultIdsIn(folder: string): readonly string[] {
  const ids = ["vault.json", "notes/vault"].flatMap((name) => vaultIdIn(folder, name));
  if (ids.length > 0) return [...new Set(ids)];
  const isVault = ["backups", "packs", "wal"].some((name) => isThere(path.join(folder, name)));
  throw new Stop(
    isVault && isThere(path.join(folder, "keys"))
      ? `${folder} has lost its vault.json: copy it from another copy, or give the vault's id with --vault-id`
      : `${folder} holds no vault: there is no vault.json`,
  );
}

/** None where it is damaged, too. */
function vaultIdIn(folder: string, name: string): readonly string[] {
  const file = path.join(folder, name);
  let marker: Readonly<Record<"format" | "version" | "vaultId", unknown>>;
  try {
    marker = jsonOf(name, fs.readFileSync(file));
  } catch (error) {
    if (isThere(file)) say(`Passed over: ${error instanceof Error ? error.message : String(error)}`);
    return [];
  }
  if (name === "vault.json" && typeof marker.version === "number" && marker.version > 1) {
    throw new Stop(`${file} is of version ${marker.version}, this program reads version 1`);
  }
  const { format, version, vaultId } = marker;
  const isSound = format === "lifeboat-vault" && version === 1 && typeof vaultId === "string" && KEY.test(vaultId);
  return isSound ? [vaultId] : [];
}

/** Every wrap is bound to the id of the vault: of two that are told the one counts under which one opens. */
function openedVault(folder: string, secret: Secret, ids: readonly string[]): Vault {
  const failures: unknown[] = [];
  for (const id of ids) {
    try {
      return openVault(folder, secret, id);
    } catch (error) {
      if (!(error instanceof Stop)) throw error;
      failures.push(error);
    }
  }
  throw failures[0];
}

function openVault(folder: string, secret: Secret, vaultId: string): Vault {
  const wraps = wrapsIn(folder);
  const keys = new Map<string, Buffer>();
  if (secret.kind === "age") openAgeWraps(wraps, { vaultId, text: secret.text, keys });
  else {
    for (const spelling of spellingsOf(secret)) {
      if (keys.size > 0) break;
      for (const wrap of wraps) {
        const key = openWrap(wrap, { vaultId, secret: spelling });
        if (key !== undefined) keys.set(key.id, key.bytes);
      }
    }
  }
  if (keys.size === 0) {
    throw new Stop("the given secret opens no key of this vault; with a vault.json that was damaged none does");
  }
  return { folder, keys };
}

/** Some editors put a mark before the first sign of a file, which nobody types. */
function spellingsOf(secret: Secret): readonly Secret[] {
  if (secret.kind !== "passphrase") return [secret];
  const { text } = secret;
  return [secret, { ...secret, text: text.startsWith(MARK) ? text.slice(MARK.length) : `${MARK}${text}` }];
}

function wrapsIn(vault: string): readonly string[] {
  const keys = path.join(vault, "keys");
  return namesIn(keys, KEY).flatMap((id) =>
    namesIn(path.join(keys, id), WRAP).flatMap((name) => wrapIn(path.join(keys, id, name))),
  );
}

function wrapIn(file: string): readonly string[] {
  try {
    return [fs.readFileSync(file, "utf8")];
  } catch (error) {
    // It may be somebody else's.
    say(`Passed over: ${error instanceof Error ? error.message : String(error)}`);
    return [];
  }
}

function openWrap(text: string, how: { readonly vaultId: string; readonly secret: Secret }) {
  try {
    const wrap: Wrap = JSON.parse(text);
    const { keyId, method } = wrap;
    if (method.kind === "open") {
      return how.secret.kind === "open" ? { id: keyId, bytes: Buffer.from(method.secret ?? "", "base64") } : undefined;
    }
    const wrapping = wrappingKey(method, how.secret);
    if (wrapping === undefined) return undefined;
    const meaning = wrapMeaning(wrap, how.vaultId);
    const sealed = Buffer.from(method.sealed ?? "", "base64");
    return { id: keyId, bytes: openFrame(wrapping, { space: 0, ordinal: 0, meaning, sealed }) };
  } catch (error) {
    // A secret that is none opens no other wrap either.
    if (error instanceof Stop) throw error;
    // Another holder's passphrase, or no wrap: another one may open.
    return undefined;
  }
}

function wrapMeaning({ version, keyId, createdAt, label }: Wrap, vaultId: string): Buffer {
  const lines = [`lifeboat key wrap v${version}`, vaultId, keyId, createdAt];
  return Buffer.from([...lines, ...(version === 1 ? [] : [label])].join("\n"));
}

function wrappingKey(method: Method, secret: Secret): Buffer | undefined {
  if (method.kind !== secret.kind || secret.kind === "open" || secret.kind === "age") return undefined;
  const salt = Buffer.from(method.salt ?? "", "base64");
  if (secret.kind === "recovery-key") {
    return Buffer.from(hkdfSync("sha256", recoveryKeyBytes(secret.text), salt, "lifeboat recovery key v1", 32));
  }
  const { memoryKiB: memory = 0, passes = 0 } = method;
  if (memory > ARGON2_KIB_MAX || passes > 64) throw new Error("the wrap asks for too much memory");
  const message = Buffer.from(secret.text.normalize("NFC"));
  return argon2Sync("argon2id", { message, nonce: salt, memory, passes, parallelism: 1, tagLength: 32 });
}

function recoveryKeyBytes(typed: string): Buffer {
  const text = typed.toUpperCase().replace(/[\s-]/g, "").replaceAll("O", "0").replace(/[IL]/g, "1");
  const values = [...text].map((digit) => "0123456789ABCDEFGHJKMNPQRSTVWXYZ".indexOf(digit));
  const digits = values.slice(0, 32);
  const check = digits.reduce((sum, value, place) => sum + (place + 2) * (value + 1), 0) % 1021;
  if (values.length !== 34 || values.includes(-1) || values[32] !== check >> 5 || values[33] !== check % 32) {
    throw new Stop("this is no recovery key: it has a wrong length or a wrong digit");
  }
  const number = digits.reduce((bits, value) => bits * 32n + BigInt(value), 0n);
  return Buffer.from(number.toString(16).padStart(40, "0"), "hex");
}

/** A data key that an age identity opened, and who vouches that it is this vault's. */
type AgeKey = { readonly id: string; readonly bytes: Buffer; readonly meaning: Buffer; readonly method: Method };

/**
 * Adds the data keys that the identities open and that can be trusted: anybody could seal one for a recipient, so the identity
 * file names one by its fingerprint, and who has a trusted one may have vouched for others.
 */
function openAgeWraps(
  wraps: readonly string[],
  to: { readonly vaultId: string; readonly text: string; readonly keys: Map<string, Buffer> },
): void {
  const { vaultId, text, keys } = to;
  const identities = text.split(/\r?\n/).map((line) => line.trim());
  const opened: AgeKey[] = [];
  for (const identity of identitiesIn(identities)) {
    for (const wrap of wraps) {
      const found = openAgeWrap(wrap, vaultId, identity);
      if (found !== undefined) opened.push(found);
    }
  }
  if (opened.length === 0) return;
  const pinOf = ({ bytes }: AgeKey): string => {
    const fingerprint = purposeKey(bytes, `lifeboat key fingerprint v1\n${vaultId}`).toString("hex", 0, 16);
    return `# lifeboat-vault ${vaultId} ${fingerprint}`;
  };
  for (const key of opened) if (identities.includes(pinOf(key))) keys.set(key.id, key.bytes);
  if (keys.size === 0) {
    const lines = [...new Set(opened.map(pinOf))].join("\n");
    throw new Stop(
      `the identity file does not say which data key of this vault to trust. Append the line that was printed when the recipient was added; if it is lost and nobody else could write to the vault, append:\n${lines}`,
    );
  }
  for (let size = 0; size < keys.size; ) {
    size = keys.size;
    for (const key of opened) if (!keys.has(key.id) && isVouchedFor(key, keys)) keys.set(key.id, key.bytes);
  }
}

function isVouchedFor({ meaning, method, bytes }: AgeKey, keys: Keys): boolean {
  return (method.vouchers ?? []).some(({ by, mac }) => {
    const key = keys.get(by);
    if (key === undefined) return false;
    const hmac = createHmac("sha256", purposeKey(key, "lifeboat key voucher v1"));
    const expected = hmac.update(meaning).update(`\n${method.recipient}\n`).update(bytes).digest();
    const given = Buffer.from(mac, "base64");
    return given.byteLength === expected.byteLength && timingSafeEqual(given, expected);
  });
}

function purposeKey(key: Buffer, purpose: string): Buffer {
  return hkdf(key, Buffer.alloc(0), purpose);
}

function openAgeWrap(text: string, vaultId: string, identity: Buffer): AgeKey | undefined {
  try {
    const wrap: Wrap = JSON.parse(text);
    if (wrap.method.kind !== "age" || wrap.version !== 2) return undefined;
    const bytes = openAgeFile(Buffer.from(wrap.method.file ?? "", "base64"), identity);
    const { keyId: id, method } = wrap;
    return bytes?.byteLength === 32 ? { id, bytes, meaning: wrapMeaning(wrap, vaultId), method } : undefined;
  } catch {
    // For somebody else, or damaged.
    return undefined;
  }
}

/** Others, as of hardware or against quantum computers, may stand beside one that is read. */
function identitiesIn(lines: readonly string[]): readonly Buffer[] {
  const told = lines.filter((line) => line !== "" && !line.startsWith("#"));
  const read = told.flatMap((line) => identityBytes(line) ?? []);
  const what = "no age identity that this program reads: AGE-SECRET-KEY-1…";
  if (read.length === 0) throw new Stop(`the identity file has ${what}`);
  if (read.length < told.length)
    say(`Passed over: ${told.length - read.length} lines of the identity file are ${what}`);
  return read;
}

/** The 32 bytes of an identity as age-keygen writes it (Bech32). */
function identityBytes(line: string): Buffer | undefined {
  const text = line.toLowerCase();
  const prefix = "age-secret-key-1";
  const digits = [...text.slice(prefix.length)].map((digit) => "qpzry9x8gf2tvdw0s3jn54khce6mua7l".indexOf(digit));
  if (!text.startsWith(prefix) || digits.length !== 58 || digits.includes(-1)) return undefined;
  // 52 digits of five bits hold 32 bytes and four zeros; the last six are a checksum of what is typed.
  const number = digits.slice(0, 52).reduce((bits, value) => bits * 32n + BigInt(value), 0n) >> 4n;
  return Buffer.from(number.toString(16).padStart(64, "0"), "hex");
}

/** Opens an age file of at most 64 KiB (https://age-encryption.org/v1); undefined when it is for somebody else. */
function openAgeFile(file: Buffer, identity: Buffer): Buffer | undefined {
  const headerEnd = file.indexOf("\n--- ") + 4;
  const payloadAt = file.indexOf("\n", headerEnd) + 1;
  const header = file.subarray(0, headerEnd);
  const mac = Buffer.from(file.toString("latin1", headerEnd + 1, payloadAt - 1), "base64");
  for (const stanza of header.toString("latin1").split("\n-> ").slice(1)) {
    const [first = "", ...rest] = stanza.split("\n");
    const [kind, share = ""] = first.split(" ");
    if (kind !== "X25519") continue;
    const fileKey = unwrapFileKey(Buffer.from(share, "base64"), Buffer.from(rest[0] ?? "", "base64"), identity);
    if (fileKey === undefined) continue;
    const hmac = createHmac("sha256", hkdf(fileKey, Buffer.alloc(0), "header"))
      .update(header)
      .digest();
    if (!hmac.equals(mac)) throw new Error("the header of an age file was changed");
    const payload = file.subarray(payloadAt);
    // One chunk, which is the last: its number is 0.
    return openChaCha(hkdf(fileKey, payload.subarray(0, 16), "payload"), payload.subarray(16), 1);
  }
  return undefined;
}

function unwrapFileKey(share: Buffer, body: Buffer, identity: Buffer): Buffer | undefined {
  const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b656e04220420", "hex"), identity]);
  const privateKey = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
  const spki = Buffer.from("302a300506032b656e032100", "hex");
  const own = createPublicKey(privateKey).export({ format: "der", type: "spki" }).subarray(spki.byteLength);
  const publicKey = createPublicKey({ key: Buffer.concat([spki, share]), format: "der", type: "spki" });
  const shared = diffieHellman({ privateKey, publicKey });
  try {
    return openChaCha(hkdf(shared, Buffer.concat([share, own]), "age-encryption.org/v1/X25519"), body, 0);
  } catch {
    return undefined;
  }
}

function hkdf(key: Buffer, salt: Buffer, info: string): Buffer {
  return Buffer.from(hkdfSync("sha256", key, salt, info, 32));
}

function openChaCha(key: Buffer, sealed: Buffer, lastNonceByte: number): Buffer {
  const nonce = Buffer.alloc(12);
  nonce[11] = lastNonceByte;
  const decipher = createDecipheriv("chacha20-poly1305", key, nonce, { authTagLength: 16 });
  decipher.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
}

type Frame = { readonly space: number; readonly ordinal: number; readonly meaning: Buffer; readonly sealed: Buffer };

function openFrame(key: Buffer, frame: Frame): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64LE(BigInt(frame.ordinal), 0);
  nonce.writeUInt32LE(frame.space, 8);
  const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: 16 });
  decipher.setAAD(frame.meaning);
  decipher.setAuthTag(frame.sealed.subarray(-16));
  return Buffer.concat([decipher.update(frame.sealed.subarray(0, -16)), decipher.final()]);
}

function objectKey(keys: Keys, keyId: string, salt: Buffer): Buffer {
  const key = keys.get(keyId);
  if (key === undefined) throw new Stop(`the given secret does not open data key ${keyId}, which this backup needs`);
  return Buffer.from(hkdfSync("sha256", key, salt, "lifeboat object key v1", 32));
}

function decompress(packed: Buffer, codec: number, plainBytes: number): Buffer {
  const plain = codec === 1 ? zstdDecompressSync(packed, { maxOutputLength: Math.max(1, plainBytes) }) : packed;
  if (codec > 1 || plain.byteLength !== plainBytes) throw new Error("a frame does not decompress to its length");
  return plain;
}

function readBlob(vault: Vault, name: string): Buffer {
  return named(name, () => {
    const bytes = fs.readFileSync(path.join(vault.folder, name));
    if (bytes.toString("latin1", 0, 8) !== "LIFEBOAT" || bytes[8] !== 1 || bytes[9] !== 1) throw new Error("no blob");
    const key = objectKey(vault.keys, bytes.toString("hex", 16, 32), bytes.subarray(32, 48));
    const parts: Buffer[] = [];
    for (let at = 48, ordinal = 0; ; ordinal += 1) {
      const header = bytes.subarray(at, at + 12);
      const end = at + 12 + header.readUInt32LE(0);
      const meaning = Buffer.concat([header, Buffer.from(name)]);
      const packed = openFrame(key, { space: 0, ordinal, meaning, sealed: bytes.subarray(at + 12, end) });
      parts.push(decompress(packed, header.readUInt8(8), header.readUInt32LE(4)));
      at = end;
      if (header[9] !== 1) continue;
      if (at !== bytes.byteLength) throw new Error("bytes follow the last frame");
      return Buffer.concat(parts);
    }
  });
}

function named<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof Stop) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Damaged(`${name} is missing or damaged: ${why}`);
  }
}

/** An object in JSON, of which only that it is one is known. */
function jsonOf<T extends object>(name: string, bytes: Buffer): T {
  return named(name, () => {
    const value: T | null = JSON.parse(bytes.toString("utf8"));
    if (typeof value !== "object" || value === null) throw new Error("it holds no JSON object");
    return value;
  });
}

type BackupFacts = Readonly<
  Record<"backupId" | "systemId" | "label" | "startLsn" | "endLsn" | "endedAt", string> &
    Record<"serverVersion" | "timeline" | "walSegmentBytes" | "dataBytes", number>
>;
/** What its proofs come to: the deepest that was shown, "failed", "unreadable", or nothing when there are none. */
type ListedBackup = BackupFacts & { readonly toGo: boolean; readonly proof: string | undefined };

function listBackups(vault: Vault): readonly ListedBackup[] {
  const found: ListedBackup[] = [];
  for (const system of namesIn(path.join(vault.folder, "backups"), SYSTEM)) {
    for (const id of namesIn(path.join(vault.folder, "backups", system), BACKUP)) {
      const prefix = `backups/${system}/${id}`;
      if (!isThere(path.join(vault.folder, prefix, "announced"))) continue;
      try {
        const facts = jsonOf<BackupFacts>(`${prefix}/announced`, readBlob(vault, `${prefix}/announced`));
        const toGo = isThere(path.join(vault.folder, prefix, "tombstone"));
        found.push({ ...facts, toGo, proof: proofOf(vault, prefix) });
      } catch (cause) {
        say(`Passed over: ${cause instanceof Error ? cause.message : String(cause)}`);
      }
    }
  }
  const key = (each: ListedBackup) => `${each.toGo ? 0 : 1} ${each.endedAt}`;
  return found.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

const DEPTHS = ["present", "intact", "booted", "checked"];

type Proof = Readonly<
  Record<"format" | "proofId" | "endedAt", string> & Record<"failedAt" | "reached", string | null>
> & {
  readonly version: number;
};

/** A failure stands until a later proof showed as much; one that does not open may tell of a failure. */
function proofOf(vault: Vault, prefix: string): string | undefined {
  const proofs: Proof[] = [];
  let unread = "";
  for (const name of namesIn(path.join(vault.folder, prefix), PROOF)) {
    try {
      const proof = jsonOf<Proof>(name, readBlob(vault, `${prefix}/${name}`));
      if (proof.format !== "lifeboat-proof" || proof.version !== 1) throw new Stop(`${name} is of a later version`);
      proofs.push(proof);
    } catch (cause) {
      if (!(cause instanceof Stop)) throw cause;
      if (name > unread) unread = name;
    }
  }
  proofs.sort((a, b) => (`${a.endedAt} ${a.proofId}` < `${b.endedAt} ${b.proofId}` ? -1 : 1));
  if (unread > `proof-${proofs.at(-1)?.proofId ?? ""}`) return "unreadable";
  let failedAt = -1;
  let shown = -1;
  for (const proof of proofs) {
    const depth = DEPTHS.indexOf(proof.failedAt ?? proof.reached ?? "");
    if (proof.failedAt !== null) [failedAt, shown] = [depth, -1];
    else if (depth >= failedAt) [failedAt, shown] = [-1, Math.max(depth, shown)];
  }
  return failedAt >= 0 ? "failed" : DEPTHS[shown];
}

function isDoubted({ proof }: ListedBackup): boolean {
  return proof === "failed" || proof === "unreadable";
}

type Line = {
  readonly kind: string;
  readonly path: string;
  readonly mode: number;
  readonly target?: string;
  readonly history?: string | null;
  readonly sizeBytes?: number;
  readonly pieces?: readonly number[];
  readonly extents?: readonly number[];
  readonly tablespaces?: readonly { readonly oid: number; readonly location: string }[];
};
type PackLine = { readonly id: string; readonly keyId: string; readonly chunks: readonly number[] };

/** Its lines are read again and again: with a terabyte there are more chunks than a table of objects holds. */
type Manifest = {
  readonly name: string;
  readonly bytes: Buffer;
  readonly header: Line;
  /** How often each chunk is used, by its number. */
  readonly uses: Uint32Array;
  readonly packCount: number;
};

function readManifest(vault: Vault, backup: BackupFacts): Manifest {
  const name = `backups/${backup.systemId}/${backup.backupId}/manifest`;
  const bytes = readBlob(vault, name);
  let uses = new Uint32Array(1024);
  let packCount = 0;
  let header: Line | undefined;
  let ended = false;
  for (const line of linesOf({ name, bytes })) {
    if (ended) throw new Stop("the manifest was not written to its end");
    if (header === undefined) header = line;
    else if (line.kind === "pack") packCount += 1;
    else if (line.kind === "end") ended = true;
    else {
      if (path.isAbsolute(line.path) || line.path.split("/").some((part) => OUTSIDE_PARTS.has(part))) {
        throw new Stop(`the manifest names a file outside of the data directory: ${line.path}`);
      }
      for (const [chunk] of placementsOf(line)) {
        if (chunk >= CHUNKS_MAX) throw new Stop(`the manifest names chunk ${chunk}, which no pack can have`);
        if (chunk >= uses.length) uses = copyOf(uses, Math.max(chunk + 1, 2 * uses.length));
        uses[chunk] = (uses[chunk] ?? 0) + 1;
      }
    }
  }
  if (header === undefined || !ended) throw new Stop("the manifest was not written to its end");
  return { name, bytes, header, uses, packCount };
}

const OUTSIDE_PARTS = new Set(["..", ".", ""]);
const CHUNKS_MAX = 2 ** 31;

function copyOf(numbers: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const longer = new Uint32Array(length);
  longer.set(numbers);
  return longer;
}

/** Line by line: as one text it may be longer than a text can be. */
function* linesOf({ name, bytes }: Pick<Manifest, "name" | "bytes">): Generator<Line & PackLine> {
  for (let at = 0; at < bytes.byteLength; ) {
    const end = bytes.indexOf(0x0a, at);
    if (end < 0) throw new Stop("the manifest was not written to its end");
    yield jsonOf<Line & PackLine>(name, bytes.subarray(at, end));
    at = end + 1;
  }
}

/** Where bytes of a chunk go: position in the file, first byte in the chunk, length. */
type Placement = { readonly to: number; readonly from: number; readonly length: number };

/** Where the bytes of all chunks go, in the order of the chunks. */
class Placements {
  /** Behind which of them those of each chunk end, so far; they begin at `#starts`. */
  readonly #ends: Uint32Array;
  readonly #starts: Uint32Array;
  readonly #files: Uint32Array;
  readonly #to: Float64Array;
  readonly #from: Uint32Array;
  readonly #lengths: Uint32Array;
  readonly #targets: string[] = [];

  constructor(uses: Uint32Array) {
    this.#starts = new Uint32Array(uses.length);
    let count = 0;
    for (const [chunk, each] of uses.entries()) {
      this.#starts[chunk] = count;
      count += each;
    }
    this.#ends = this.#starts.slice();
    this.#files = new Uint32Array(count);
    this.#to = new Float64Array(count);
    this.#from = new Uint32Array(count);
    this.#lengths = new Uint32Array(count);
  }

  /** Adds what a line of the manifest says of a file. */
  add(line: Line, target: string): void {
    const file = this.#targets.push(target) - 1;
    for (const [chunk, { to, from, length }] of placementsOf(line)) {
      const at = this.#ends[chunk] ?? 0;
      this.#ends[chunk] = at + 1;
      this.#files[at] = file;
      this.#to[at] = to;
      this.#from[at] = from;
      this.#lengths[at] = length;
    }
  }

  isWanted = (chunk: number): boolean => (this.#ends[chunk] ?? 0) > (this.#starts[chunk] ?? 0);

  /** Gives the placements of a chunk, which is not wanted any more. */
  *take(chunk: number): Generator<Placement & { readonly file: string }> {
    const [start = 0, end = 0] = [this.#starts[chunk], this.#ends[chunk]];
    this.#ends[chunk] = start;
    for (let at = start; at < end; at += 1) {
      const file = this.#targets[this.#files[at] ?? 0] ?? "";
      yield { file, to: this.#to[at] ?? 0, from: this.#from[at] ?? 0, length: this.#lengths[at] ?? 0 };
    }
  }

  wantedCount(): number {
    return this.#starts.reduce((count, _, chunk) => count + (this.isWanted(chunk) ? 1 : 0), 0);
  }
}

class OpenFiles {
  readonly #open = new Map<string, number>();

  write(file: string, bytes: Buffer, position: number): void {
    const handle = this.#open.get(file) ?? fs.openSync(file, "r+");
    this.#open.delete(file);
    this.#open.set(file, handle);
    for (let done = 0; done < bytes.byteLength; ) {
      done += fs.writeSync(handle, bytes, done, bytes.byteLength - done, position + done);
    }
    const [oldest] = this.#open;
    if (oldest !== undefined && this.#open.size > OPEN_FILES_MAX) this.#close(...oldest);
  }

  closeAll(): void {
    for (const each of [...this.#open]) this.#close(...each);
  }

  #close(file: string, handle: number): void {
    fs.fsyncSync(handle);
    fs.closeSync(handle);
    this.#open.delete(file);
  }
}

type Place = { readonly folder: string; readonly tablespacesUnder: string };

/** Writes all files of the backup but the control file, which is handed back. */
function writeFiles(vault: Vault, manifest: Manifest, place: Place): Buffer {
  const linked = new Map((manifest.header.tablespaces ?? []).map(({ oid, location }) => [String(oid), location]));
  const targetOf = (at: string): string | undefined => {
    const [first, oid = "", ...rest] = at.split("/");
    if (LEFT_OUT.has(at)) return undefined;
    if (first !== "pg_tblspc" || !path.isAbsolute(linked.get(oid) ?? "")) return path.join(place.folder, at);
    return path.join(place.tablespacesUnder, oid, ...rest);
  };
  for (const [oid, location] of linked) {
    if (!path.isAbsolute(location)) continue;
    makeRoot(path.join(place.tablespacesUnder, oid));
  }
  let controlFile: Buffer | undefined;
  const placements = new Placements(manifest.uses);
  for (const line of fileLinesOf(manifest)) {
    const isControl = line.path === CONTROL_FILE;
    if (isControl) controlFile = Buffer.alloc(line.sizeBytes ?? 0);
    const target = isControl ? CONTROL_FILE : targetOf(line.path);
    if (target !== undefined && (isControl || makeEntry(line, target))) placements.add(line, target);
  }
  if (controlFile === undefined) throw new Stop("the manifest names no control file");
  writeChunks(vault, manifest, { placements, controlFile });
  const links = path.join(place.folder, "pg_tblspc");
  for (const [oid, location] of linked) {
    if (path.isAbsolute(location)) fs.symlinkSync(path.join(place.tablespacesUnder, oid), path.join(links, oid));
  }
  return controlFile;
}

/** Of the first line, of packs and of the last line. */
const NO_FILES = new Set(["manifest", "pack", "end"]);

function* fileLinesOf(manifest: Manifest): Generator<Line> {
  for (const line of linesOf(manifest)) if (!NO_FILES.has(line.kind)) yield line;
}

/** Reads each pack once, and writes what is wanted of it. */
function writeChunks(
  vault: Vault,
  manifest: Manifest,
  to: { readonly placements: Placements; readonly controlFile: Buffer },
): void {
  const { placements, controlFile } = to;
  const open = new OpenFiles();
  let packs = 0;
  for (const pack of linesOf(manifest)) {
    if (pack.kind !== "pack") continue;
    packs += 1;
    say(`Reading pack ${packs} of ${manifest.packCount}`);
    for (const { chunk, plain } of chunksOf(vault, pack, placements.isWanted)) {
      for (const { file, to: position, from, length } of placements.take(chunk)) {
        const bytes = plain.subarray(from, from + length);
        if (bytes.byteLength !== length) throw new Stop(`the bytes of ${file} lie outside of their chunk`);
        if (file === CONTROL_FILE) bytes.copy(controlFile, position);
        else open.write(file, bytes, position);
      }
    }
  }
  open.closeAll();
  const left = placements.wantedCount();
  if (left > 0) throw new Stop(`the manifest names no pack for ${left} chunks`);
}

/** True when bytes are to be written into it. */
function makeEntry(line: Line, target: string): boolean {
  if (line.kind === "folder") {
    fs.mkdirSync(target, { recursive: true, mode: line.mode });
    fs.chmodSync(target, line.mode);
    return false;
  }
  if (line.kind === "link") {
    // The links to tablespaces are made at the end: those lie elsewhere now.
    if (!/^pg_tblspc\/\d+$/.test(line.path)) fs.symlinkSync(line.target ?? "", target);
    return false;
  }
  fs.mkdirSync(path.dirname(target), { recursive: true, mode: 0o700 });
  const handle = fs.openSync(target, "wx", line.mode);
  fs.ftruncateSync(handle, line.sizeBytes ?? 0);
  fs.fsyncSync(handle);
  fs.closeSync(handle);
  return true;
}

function* placementsOf(line: Line): Generator<readonly [chunk: number, Placement]> {
  for (const [page = 0, pages = 0, chunk = 0, first = 0] of runs(line.extents ?? [], 4)) {
    // Pages of zeros are there already.
    if (chunk === -1) continue;
    yield [chunk, { to: page * PAGE_BYTES, from: first * PAGE_BYTES, length: pages * PAGE_BYTES }];
  }
  let to = 0;
  for (const [chunk = 0, from = 0, length = 0] of runs(line.pieces ?? [], 3)) {
    yield [chunk, { to, from, length }];
    to += length;
  }
}

/** The chunks of a pack that something refers to, opened. */
function* chunksOf(vault: Vault, pack: PackLine, isWanted: (chunk: number) => boolean) {
  const name = `packs/${pack.id.slice(0, 2)}/${pack.id}`;
  const used = [...runs(pack.chunks, 6)].filter(([chunk = -1]) => isWanted(chunk));
  if (used.length === 0) return;
  const key = objectKey(vault.keys, pack.keyId, Buffer.from(pack.id, "hex"));
  const handle = named(name, () => fs.openSync(path.join(vault.folder, name), "r"));
  try {
    for (const [chunk = 0, ordinal = 0, offset = 0, sealedBytes = 0, plainBytes = 0, codec = 0] of used) {
      const plain = named(name, () => {
        const sealed = Buffer.alloc(sealedBytes);
        if (fs.readSync(handle, sealed, 0, sealedBytes, offset) !== sealedBytes) throw new Error("it is too short");
        const meaning = Buffer.alloc(8);
        meaning.writeUInt32LE(plainBytes, 0);
        meaning.writeUInt32LE(codec, 4);
        return decompress(openFrame(key, { space: 0, ordinal, meaning, sealed }), codec, plainBytes);
      });
      yield { chunk, plain };
    }
  } finally {
    fs.closeSync(handle);
  }
}

function* runs(numbers: readonly number[], length: number): Generator<readonly number[]> {
  for (let at = 0; at < numbers.length; at += length) yield numbers.slice(at, at + length);
}

/** A timeline on the way to the one that is followed, from where to where it counts. */
type Part = { readonly timeline: number; readonly from: bigint; readonly to: bigint | undefined };

/** A piece of the WAL, up to where it counts, and the object that holds it: that of the newest timeline that has it. */
type HeldSegment = { readonly start: bigint; readonly end: bigint; readonly object: string };
type HeldWal = {
  readonly histories: ReadonlyMap<number, Buffer>;
  readonly timeline: number;
  readonly segments: readonly HeldSegment[];
  /** What has to be said of it. */
  readonly notes: readonly string[];
};

/** As far as it goes without a hole, and all histories. */
function heldWal(vault: Vault, backup: BackupFacts, histories: ReadonlyMap<number, Buffer>, wish: Wish): HeldWal {
  const { systemId, walSegmentBytes } = backup;
  const { until } = wish;
  const lineage = lineageOf(backup, histories, wish.timeline);
  const size = BigInt(walSegmentBytes);
  const segments: HeldSegment[] = [];
  for (let number = parseLsn(backup.startLsn) / size; ; number += 1n) {
    const [from, to] = [number * size, (number + 1n) * size];
    const parts = lineage.filter((part) => part.from < to && (part.to === undefined || part.to > from));
    const objectOf = ({ timeline }: Part): string => {
      const name = segmentName(timeline, number, walSegmentBytes);
      return `wal/${systemId}/${name.slice(0, 8)}/${name}`;
    };
    // A later timeline's segment repeats what came before its switch. Without it, what counts of the one before ends there.
    const last = parts.findLast((part) => isThere(path.join(vault.folder, objectOf(part))));
    if (last === undefined) break;
    const end = last.to !== undefined && last.to < to ? last.to : to;
    segments.push({ start: from, end, object: objectOf(last) });
    if (end < to) break;
  }
  const end = segments.at(-1)?.end ?? parseLsn(backup.startLsn);
  if (end < parseLsn(backup.endLsn)) {
    const missing = segmentName(lineage[0]?.timeline ?? backup.timeline, end / size, walSegmentBytes);
    throw new Stop(
      `WAL that makes backup ${backup.backupId} consistent is missing: ${missing.toUpperCase()} is not there. Another copy of the vault may have it; an earlier backup may serve: name it with --backup`,
    );
  }
  const timeline = lineage.at(-1)?.timeline ?? backup.timeline;
  const reached = until.lsn === undefined ? segments : segmentsUpTo(vault, segments, until.lsn);
  const isHole = until.lsn === undefined && lineage.some((part) => isHeldBehind(vault, backup, part, end));
  const hole = `WAL is missing behind ${formatLsn(end)}: this is not the newest point that was ever held.`;
  const lost = wish.timeline === undefined ? lostNotes(vault, backup, { histories, timeline, until }) : [];
  const notes = [...(isHole ? [hole] : []), ...lost];
  return { histories, timeline, segments: reached, notes };
}

/** The histories of the vault, of the backup, and what the operator has of those that are lost. */
function historiesOf(vault: Vault, backup: BackupFacts, manifest: Manifest, wish: Wish): ReadonlyMap<number, Buffer> {
  const histories = new Map<number, Buffer>();
  for (const file of wish.histories) {
    const name = /^([0-9A-F]{8})\.history$/i.exec(path.basename(file))?.[1];
    if (name === undefined) throw new Stop(`${file} has not the name of a history: 00000002.history is one`);
    const content = fs.readFileSync(file);
    if (switchesIn(content).length === 0) {
      throw new Stop(
        `${file} names no timeline before its own: it is what a restore left in the place of a history that did not open. Take it from a server of that timeline`,
      );
    }
    histories.set(Number.parseInt(name, 16), content);
  }
  const own = manifest.header.history ?? "";
  if (own !== "") histories.set(backup.timeline, Buffer.from(own));
  const folder = `wal/${backup.systemId}/history`;
  for (const name of namesIn(path.join(vault.folder, folder), TIMELINE)) {
    const timeline = Number.parseInt(name, 16);
    if (!histories.has(timeline))
      histories.set(timeline, historyIn(vault, `${folder}/${name}`, { backup, timeline, wish }));
  }
  return histories;
}

/** One that does not open shuts nothing that goes another way: that it is there keeps a server from taking its timeline once more. */
function historyIn(
  vault: Vault,
  object: string,
  { backup, timeline, wish }: { readonly backup: BackupFacts; readonly timeline: number; readonly wish: Wish },
): Buffer {
  try {
    return readBlob(vault, object);
  } catch (cause) {
    if (!(cause instanceof Damaged) || timeline === wish.timeline) throw cause;
    if (timeline < backup.timeline || wish.timeline !== undefined) {
      say(`Passed over: ${cause.message}`);
      return Buffer.from(
        "# The history of this timeline does not open. Its name is kept, so that no server takes it again.\n",
      );
    }
    const file = `${path.basename(object).toUpperCase()}.history`;
    throw new Stop(
      `${cause.message}. Copy it from another copy of the vault, give ${file} from pg_wal of a server of that timeline with --history, or name the --timeline to follow: ${backup.timeline} is that of backup ${backup.backupId}`,
    );
  }
}

/** Whether more of a part of the lineage is held behind a position. */
function isHeldBehind(vault: Vault, backup: BackupFacts, { timeline, from, to }: Part, end: bigint): boolean {
  const size = BigInt(backup.walSegmentBytes);
  return segmentNumbers(vault, backup, timeline).some((number) => {
    const start = number * size < from ? from : number * size;
    const stop = to !== undefined && to < (number + 1n) * size ? to : (number + 1n) * size;
    return start < stop && stop > end;
  });
}

function segmentNumbers(vault: Vault, backup: BackupFacts, timeline: number): readonly bigint[] {
  const names = namesIn(path.join(vault.folder, "wal", backup.systemId, hex8(timeline)), SEGMENT);
  const perId = 0x1_0000_0000n / BigInt(backup.walSegmentBytes);
  return names
    .filter((name) => name.startsWith(hex8(timeline)))
    .map((name) => BigInt(`0x${name.slice(8, 16)}`) * perId + BigInt(`0x${name.slice(16)}`));
}

/**
 * Newer timelines of which nobody can tell from where they grew. Of one that a later history names, that says it up to the place where it left
 * it, whichever is followed: what lies behind that may be what the server wrote, and the later one a copy's.
 */
function lostNotes(
  vault: Vault,
  backup: BackupFacts,
  of: { readonly histories: ReadonlyMap<number, Buffer>; readonly timeline: number; readonly until: Until },
): readonly string[] {
  const { histories, until } = of;
  const own = new Set([1]);
  const left = new Map<number, bigint>();
  for (const [timeline, content] of histories) {
    const before = switchesIn(content);
    // What a restore laid in the place of a history is none, and may have come into the vault.
    if (before.length > 0) own.add(timeline);
    for (const each of before) left.set(each.timeline, larger(left.get(each.timeline), each.at));
  }
  const size = BigInt(backup.walSegmentBytes);
  const wal = path.join(vault.folder, "wal", backup.systemId);
  return namesIn(wal, TIMELINE).flatMap((name) => {
    const timeline = Number.parseInt(name, 16);
    const numbers = segmentNumbers(vault, backup, timeline);
    const [first, last] = [numbers.at(0), numbers.at(-1)];
    const at = left.get(timeline);
    if (own.has(timeline) || (at === undefined && timeline <= of.timeline)) return [];
    if (first === undefined || last === undefined) return [];
    const [from, to] = [larger(at, first * size), (last + 1n) * size];
    if (to <= from || (until.lsn !== undefined && parseLsn(until.lsn) < from)) return [];
    const place = at === undefined ? "" : `, behind the place where a later timeline left it (${formatLsn(at)})`;
    const follow = at === undefined ? "" : ` with --timeline ${timeline}`;
    return [
      `WAL of timeline ${timeline} is in this copy, ${formatLsn(from)} to ${formatLsn(to)}${place}, and its history is not: none of it is replayed, and what was committed there is LEFT OUT. Copy wal/${backup.systemId}/history/${name} from another copy of the vault, or give ${name.toUpperCase()}.history from pg_wal of a server of that timeline with --history, and restore again${follow}.`,
    ];
  });
}

function larger(one: bigint | undefined, other: bigint): bigint {
  return one === undefined || one < other ? other : one;
}

/** What is held of it, with zeros behind where it counts: PostgreSQL would replay what another branch wrote there. */
function bytesOf(vault: Vault, { start, end, object }: HeldSegment): Buffer {
  const bytes = readBlob(vault, object);
  const counting = Number(end - start);
  if (bytes.byteLength < counting) throw new Damaged(`${object} is damaged: it holds ${bytes.byteLength} bytes`);
  return bytes.fill(0, counting);
}

/**
 * Those up to a position: recovery stops at the first record that begins there or later, and one that never meets its target ends the
 * server.
 */
function segmentsUpTo(vault: Vault, segments: readonly HeldSegment[], lsn: string): readonly HeldSegment[] {
  let reach = segments.at(-1)?.start ?? 0n;
  for (const [index, segment] of segments.entries()) {
    if (segment.end <= parseLsn(lsn) && index < segments.length - 1) continue;
    reach = lastRecordIn(bytesOf(vault, segment), segment.start) ?? segment.end - 1n;
    if (parseLsn(lsn) <= reach) return segments.slice(0, index + 1);
  }
  throw new Stop(
    `the WAL in this vault ends before ${lsn}: the last position it reaches is ${formatLsn(reach)}. Give that one, or leave --until-lsn out, which restores all there is. What is newer may lie in the spool of the machine that received WAL`,
  );
}

function layWal(
  vault: Vault,
  { histories, segments }: HeldWal,
  to: { readonly folder: string; readonly backup: BackupFacts; readonly tablespaces: TablespaceWatch },
): void {
  const { folder, backup, tablespaces } = to;
  makeRoot(folder);
  for (const [timeline, content] of histories) {
    writeDurably(path.join(folder, `${hex8(timeline).toUpperCase()}.history`), content);
  }
  let reach: bigint | undefined;
  for (const segment of segments) {
    const bytes = opened(() => bytesOf(vault, segment), { reach, needed: parseLsn(backup.endLsn) });
    writeDurably(path.join(folder, path.basename(segment.object).toUpperCase()), bytes);
    tablespaces.pass(bytes, segment.start);
    reach = lastRecordIn(bytes, segment.start) ?? reach;
  }
  tablespaces.end();
}

/** One bad segment ends the WAL for a restore; what lies before it can be had. */
function opened(read: () => Buffer, before: { readonly reach: bigint | undefined; readonly needed: bigint }): Buffer {
  try {
    return read();
  } catch (cause) {
    const { reach, needed } = before;
    if (!(cause instanceof Damaged) || reach === undefined) throw cause;
    const way =
      reach < needed
        ? "The backup needs it: name another --backup"
        : `The last position before it is ${formatLsn(reach)}: remove what was made here, and restore that with --until-lsn`;
    throw new Stop(`${cause.message}. ${way}; another copy of the vault may have it whole`);
  }
}

const WAL_PAGE_BYTES = 8192;

/**
 * Looks for tablespaces that the WAL creates. A server that replays such a record writes into the folder that it names: on the machine
 * of the original that is the original's.
 */
class TablespaceWatch {
  #from: bigint;
  readonly #to: bigint | undefined;
  #before: { readonly bytes: Buffer; readonly start: bigint } | undefined;

  constructor({ startLsn }: BackupFacts, { lsn }: Until) {
    this.#from = parseLsn(startLsn);
    this.#to = lsn === undefined ? undefined : parseLsn(lsn);
  }

  /** Takes the next segment, and looks at the records that begin in the one before. */
  pass(bytes: Buffer, start: bigint): void {
    this.#look(bytes);
    this.#before = { bytes, start };
  }

  end(): void {
    this.#look(Buffer.alloc(0));
    this.#before = undefined;
  }

  #look(next: Buffer): void {
    if (this.#before === undefined) return;
    const { bytes, start } = this.#before;
    for (const { at, length } of recordsIn(bytes)) {
      const lsn = start + BigInt(at);
      if (lsn >= this.#from) this.#judge([bytes, next], { at, length, lsn });
      // The first record at the position is replayed, and is the last one.
      if (this.#to !== undefined && lsn >= this.#to) this.#from = 1n << 64n;
    }
  }

  #judge(
    segments: readonly [Buffer, Buffer],
    { at, length, lsn }: { readonly at: number; readonly length: number; readonly lsn: bigint },
  ): void {
    const header = recordBytes(segments, at, 26);
    // Resource manager 5, operation 0; then the length of what the record holds: in one byte behind 255, in four behind 254.
    if (header[17] !== 5 || ((header[16] ?? 0) & 0xf0) !== 0) return;
    const record = recordBytes(segments, at, Math.min(length, 2048));
    const data = record.subarray(header[24] === 255 ? 26 : 29);
    const end = data.indexOf(0, 4);
    if (end < 5) return;
    const location = data.toString("utf8", 4, end);
    if (!path.isAbsolute(location)) return;
    const isReadable = Buffer.from(location).equals(data.subarray(4, end));
    admitTablespace({ oid: data.readUInt32LE(0), location, lsn, isReadable });
  }
}

/** Where records begin in a segment. They are followed by their lengths, anew on each page. */
function* recordsIn(bytes: Buffer): Generator<{ readonly at: number; readonly length: number }> {
  for (let page = 0; page + 40 <= bytes.byteLength; page += WAL_PAGE_BYTES) {
    const continues = (bytes.readUInt16LE(page + 2) & 1) === 1;
    let at = page + headerBytes(bytes, page) + (continues ? aligned(bytes.readUInt32LE(page + 16)) : 0);
    while (at + 4 <= page + WAL_PAGE_BYTES) {
      const length = bytes.readUInt32LE(at);
      if (length < 24) break;
      yield { at, length };
      at += aligned(length);
    }
  }
}

/** The last one that does not go on in the next segment; undefined where none can be told. */
function lastRecordIn(bytes: Buffer, start: bigint): bigint | undefined {
  let last: bigint | undefined;
  for (const { at, length } of recordsIn(bytes)) {
    const isWhole = recordBytes([bytes, Buffer.alloc(0)], at, length).byteLength === length;
    if (isWhole) last = start + BigInt(at);
  }
  return last;
}

function headerBytes(segment: Buffer, page: number): number {
  return (segment.readUInt16LE(page + 2) & 2) === 2 ? 40 : 24;
}

function aligned(bytes: number): number {
  return bytes + (-bytes & 7);
}

/** The first bytes of a record, without the headers of the pages that it lies on; fewer where the segments end. */
function recordBytes([first, second]: readonly [Buffer, Buffer], start: number, wanted: number): Buffer {
  const parts: Buffer[] = [];
  let [segment, at] = [first, start];
  for (let left = wanted; left > 0; ) {
    if (at >= segment.byteLength) {
      if (segment === second || second.byteLength < WAL_PAGE_BYTES) break;
      [segment, at] = [second, 0];
    }
    if (at % WAL_PAGE_BYTES === 0) at += headerBytes(segment, at);
    const end = Math.min(at + left, at - (at % WAL_PAGE_BYTES) + WAL_PAGE_BYTES);
    parts.push(segment.subarray(at, end));
    left -= end - at;
    at = end;
  }
  return Buffer.concat(parts);
}

type NewTablespace = {
  readonly oid: number;
  readonly location: string;
  readonly lsn: bigint;
  readonly isReadable: boolean;
};

/** Recovery needs the folder, and must find nothing in it. */
function admitTablespace({ oid, location, lsn, isReadable }: NewTablespace): void {
  const names = isReadable ? namesIn(location) : ["what cannot be looked at"];
  const [found] = names.filter((name) => name !== "lost+found");
  if (found !== undefined) {
    const at = formatLsn(lsn);
    throw new Stop(
      `the WAL creates tablespace ${oid} at ${at} in ${location}, which holds ${found} on this machine: recovery would write into it. If the original lives, take a new backup and restore that; else restore on a machine without that folder, to before that position with --until-lsn, or move away what lies there`,
    );
  }
  makeRoot(location);
  say(`The WAL creates tablespace ${oid} in ${location}: give that folder to the server's user, too.`);
}

/** The ancestors that a history names, and where each was left. */
function switchesIn(history: Buffer): { readonly timeline: number; at: bigint }[] {
  return history
    .toString("utf8")
    .split("\n")
    .flatMap((line) => {
      const match = /^\s*(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)/.exec(line);
      return match === null ? [] : [{ timeline: Number(match[1]), at: parseLsn(match[2] ?? "0/0") }];
    });
}

/** From the backup's timeline to the newest that grew out of it behind the backup's end, or to the one that is wished. */
function lineageOf(
  backup: BackupFacts,
  histories: ReadonlyMap<number, Buffer>,
  wished: number | undefined,
): readonly Part[] {
  for (const [timeline, content] of [...histories].sort(([a], [b]) => b - a)) {
    if (wished !== undefined && timeline !== wished) continue;
    const switches = switchesIn(content);
    // The positions may go back: what counts of a timeline ends where the first of its descendants began.
    for (let index = switches.length - 2; index >= 0; index -= 1) {
      const [each, next] = [switches[index], switches[index + 1]];
      if (each !== undefined && next !== undefined && next.at < each.at) each.at = next.at;
    }
    const own = switches.findIndex((each) => each.timeline === backup.timeline);
    if (timeline <= backup.timeline || own < 0 || (switches[own]?.at ?? 0n) < parseLsn(backup.endLsn)) continue;
    const parts: Part[] = [];
    let from = 0n;
    for (const each of switches) {
      if (parts.length > 0 || each.timeline === backup.timeline) parts.push({ ...each, from, to: each.at });
      from = each.at;
    }
    return [...parts, { timeline, from, to: undefined }];
  }
  if (wished !== undefined && wished !== backup.timeline) {
    throw new Stop(`timeline ${wished} did not grow out of backup ${backup.backupId}, or its history is not there`);
  }
  return [{ timeline: backup.timeline, from: 0n, to: undefined }];
}

function segmentName(timeline: number, number: bigint, walSegmentBytes: number): string {
  const perId = 0x1_0000_0000n / BigInt(walSegmentBytes);
  return `${hex8(timeline)}${hex8(Number(number / perId))}${hex8(Number(number % perId))}`;
}

function hex8(number: number): string {
  return number.toString(16).padStart(8, "0");
}

function parseLsn(text: string): bigint {
  const [high = "0", low = "0"] = text.split("/");
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

function formatLsn(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffff_ffffn).toString(16)}`.toUpperCase();
}

type Until = { readonly time: string | undefined; readonly lsn: string | undefined };

/** What the operator asks of the WAL: files of histories, too. */
type Wish = { readonly until: Until; readonly timeline: number | undefined; readonly histories: readonly string[] };

/** The server recovers from pg_wal and from nowhere else. */
function recoverySettings(timeline: number, until: Until): string {
  const chosen =
    until.time !== undefined ? "recovery_target_time" : until.lsn !== undefined ? "recovery_target_lsn" : "";
  const names = ["", "_name", "_time", "_xid", "_lsn"].map((end) => `recovery_target${end}`);
  const value = (until.time ?? until.lsn ?? "").replaceAll("\\", "\\\\").replaceAll("'", "''");
  const settings = [
    "restore_command = 'false'",
    "recovery_end_command = ''",
    "archive_cleanup_command = ''",
    "recovery_min_apply_delay = 0",
    "hot_standby = off",
    `recovery_target_timeline = '${timeline}'`,
    ...names.filter((name) => name !== chosen).map((name) => `${name} = ''`),
    ...(chosen === "" ? [] : [`${chosen} = '${value}'`, "recovery_target_action = 'promote'"]),
    "primary_conninfo = ''",
    "primary_slot_name = ''",
    "synchronous_standby_names = ''",
    // The copy must not archive into what the original archives into.
    "archive_command = 'false'",
    // That file is the original's, and goes with the server that stops. An empty name would be complained of at each start.
    "external_pid_file = 'lifeboat-restored.pid'",
    // Nor take changes that the original's subscriptions then miss.
    "max_logical_replication_workers = 0",
  ];
  return ["", "# Added by the stand-alone restore program of a Lifeboat vault.", ...settings, ""].join("\n");
}

function restore(vault: Vault, backup: BackupFacts, place: Place, wish: Wish): void {
  const { until } = wish;
  const manifest = readManifest(vault, backup);
  const wal = heldWal(vault, backup, historiesOf(vault, backup, manifest, wish), wish);
  for (const note of wal.notes) say(note);
  const { folder } = place;
  makeRoot(folder);
  fs.chmodSync(folder, 0o700);
  // First: a segment that does not open is told before hours of copying.
  say("Laying WAL");
  const tablespaces = new TablespaceWatch(backup, until);
  layWal(vault, wal, { folder: path.join(folder, "pg_wal"), backup, tablespaces });
  const controlFile = writeFiles(vault, manifest, place);
  const settings = path.join(folder, "postgresql.auto.conf");
  const before = isThere(settings) ? fs.readFileSync(settings) : Buffer.alloc(0);
  const text = Buffer.from(recoverySettings(wal.timeline, until));
  writeDurably(settings, Buffer.concat([before, text]));
  keepToFolder(folder);
  writeDurably(path.join(folder, "recovery.signal"), Buffer.alloc(0));
  for (const root of [folder, place.tablespacesUnder]) if (isThere(root)) syncFolders(root);
  // Last, and whole: a folder without it does not start.
  const control = path.join(folder, CONTROL_FILE);
  writeDurably(`${control}.lifeboat`, controlFile);
  fs.renameSync(`${control}.lifeboat`, control);
  syncFolder(path.dirname(control));
  const major = Math.floor(backup.serverVersion / 10_000);
  const count = wal.segments.length;
  const end = formatLsn(wal.segments.at(-1)?.end ?? 0n);
  say(
    `Restored ${backup.backupId} of system ${backup.systemId} into ${folder}, with ${count} segments of WAL on timeline ${wal.timeline}, up to ${end}.`,
  );
  for (const note of wal.notes) say(note);
  const outside = path.join(folder, OUTSIDE);
  if (isThere(outside)) say(`Configuration that lay outside of the data directory is in ${outside}; copy it back.`);
  say(`Give ${folder} to the server's user (chown -R), then start PostgreSQL ${major} on it.`);
  if (until.time !== undefined) {
    say(
      `The server stops at the first transaction that the original's clock dated after ${until.time}, also where that clock was ahead for a while: its log says where it stopped. --until-lsn goes to a position instead.`,
    );
    say(
      `Should the server end with "recovery ended before configured recovery target was reached", nothing in this WAL is later than ${until.time}: take recovery_target_time out of its postgresql.auto.conf and start it again, which restores all there is.`,
    );
  }
  say(
    "Until it takes the original's place it archives nothing, runs no subscriptions, and as a replica lets nobody in: for that, take archive_command, external_pid_file, max_logical_replication_workers and hot_standby out of its postgresql.auto.conf.",
  );
}

/**
 * Where the configuration says that the cluster lies elsewhere, a server started here would work in the original's folder: what says it
 * here is taken out, so that the folder can still be moved. A line with the folder stands only against what is included from outside.
 */
function keepToFolder(folder: string): void {
  const main = path.join(folder, "postgresql.conf");
  if (!isOutsideTold(main, folder, 0)) return;
  const value = folder.replaceAll("\\", "\\\\").replaceAll("'", "''");
  const why =
    "# Added by the stand-alone restore program: a file outside of this folder that is included says that the cluster lies elsewhere, or may. Change or remove it when you move this folder.";
  writeDurably(main, Buffer.concat([fs.readFileSync(main), Buffer.from(`\n${why}\ndata_directory = '${value}'\n`)]));
  say(`When you move or copy ${folder}, change the data_directory at the end of its postgresql.conf.`);
}

const PLACE_SETTING =
  /^[ \t]*(data_directory|include|include_dir|include_if_exists)\b[ \t]*(?:=[ \t]*)?(?:'((?:[^'\\]|''|\\.)*)'|(?<=[\s=])([^\s#'=]+))/i;

/** Goes through a file and what it includes; true where one outside of the folder names another place, or cannot be read. */
function isOutsideTold(file: string, folder: string, depth: number): boolean {
  const isInside = file.startsWith(`${folder}${path.sep}`);
  const before = depth > 10 ? undefined : contentOf(file);
  if (before === undefined) return !isInside && depth <= 10;
  let isTold = false;
  const lines = before.split("\n").map((line) => {
    const [, name = "", inQuotes, bare = ""] = PLACE_SETTING.exec(line) ?? [];
    const text = inQuotes?.replaceAll("''", "'").replace(/\\(.)/g, "$1") ?? bare;
    const value = Buffer.from(text, "latin1").toString("utf8");
    if (/^include/i.test(name)) {
      const included = path.resolve(path.dirname(file), value);
      const each = /^include_dir$/i.test(name) ? configurationsIn(included) : [included];
      // One after the other, also behind the first: those of the folder are rewritten on the way.
      for (const next of each) isTold = isOutsideTold(next, folder, depth + 1) || isTold;
    }
    if (!/^data_directory$/i.test(name) || value === folder) return line;
    isTold ||= !isInside;
    return `# Taken out by the stand-alone restore program, since this cluster lies here: ${line.trimStart()}`;
  });
  const after = lines.join("\n");
  if (isInside && after !== before) writeDurably(file, Buffer.from(after, "latin1"));
  return isTold;
}

/** Byte by byte; undefined for one that is not there, or is no file that can be read. */
function contentOf(file: string): string | undefined {
  try {
    return fs.lstatSync(file).isFile() ? fs.readFileSync(file, "latin1") : undefined;
  } catch {
    return undefined;
  }
}

/** A folder that is not there stands for itself: outside it counts as unread. */
function configurationsIn(folder: string): readonly string[] {
  try {
    const names = fs.readdirSync(folder).filter((name) => /^[^.].*\.conf$/.test(name));
    return names.sort().map((name) => path.join(folder, name));
  } catch {
    return [folder];
  }
}

function writeDurably(file: string, bytes: Buffer): void {
  const handle = fs.openSync(file, "w", 0o600);
  fs.writeFileSync(handle, bytes);
  fs.fsyncSync(handle);
  fs.closeSync(handle);
}

/** Makes a folder, and sees to it that the folders above keep its name. */
function makeRoot(folder: string): void {
  const first = fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let at = folder; at !== path.dirname(first); at = path.dirname(at)) syncFolder(path.dirname(at));
}

function syncFolders(folder: string): void {
  const entries = fs.readdirSync(folder, { withFileTypes: true });
  for (const entry of entries) if (entry.isDirectory()) syncFolders(path.join(folder, entry.name));
  syncFolder(folder);
}

function syncFolder(folder: string): void {
  const handle = fs.openSync(folder, "r");
  fs.fsyncSync(handle);
  fs.closeSync(handle);
}

/** What cannot be looked at is not taken for absent: the program stops. */
function isThere(file: string): boolean {
  return fs.statSync(file, { throwIfNoEntry: false }) !== undefined;
}

function namesIn(folder: string, wanted = /^/): readonly string[] {
  if (!isThere(folder)) return [];
  const names = fs.readdirSync(folder).filter((name) => wanted.test(name));
  return names.sort();
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** What is wrong with the command line, with how it is written. */
function told<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    process.stdout.write(USAGE);
    throw new Stop(error instanceof Error ? error.message : String(error));
  }
}

function main(): void {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  const folders = { vault: text, "vault-id": text, target: text, "tablespaces-under": text };
  const secrets = { "passphrase-file": text, "recovery-key-file": text, "identity-file": text };
  const wished = { system: text, backup: text, timeline: text, "until-time": text, "until-lsn": text };
  const histories = { history: { type: "string", multiple: true } } as const;
  const { values } = told(() =>
    parseArgs({ options: { ...folders, ...secrets, ...wished, ...histories, list: flag, help: flag } }),
  );
  if (values.help === true || (values.list !== true && values.target === undefined)) {
    process.stdout.write(USAGE);
    if (values.help !== true) throw new Stop("name a --target, or --list the backups");
    return;
  }
  const vaultFolder = path.resolve(values.vault ?? path.join(import.meta.dirname, ".."));
  const ids = values["vault-id"] === undefined ? vaultIdsIn(vaultFolder) : [values["vault-id"]];
  const vault = openedVault(vaultFolder, secretOf(vaultFolder, values), ids);
  const { system } = values;
  const backups = listBackups(vault).filter(({ systemId }) => system === undefined || systemId === system);
  if (values.list === true) {
    for (const { backupId, systemId, endedAt, serverVersion, dataBytes, label, toGo, proof } of backups) {
      const facts = [
        backupId,
        endedAt,
        `system ${systemId}`,
        `PostgreSQL ${Math.floor(serverVersion / 10_000)}`,
        `${dataBytes} bytes`,
        label,
        `proof: ${proof ?? "none"}`,
      ];
      process.stdout.write(`${facts.join("  ")}${toGo ? "  (to be deleted)" : ""}\n`);
    }
    return;
  }
  const until = { time: values["until-time"], lsn: values["until-lsn"] };
  const backup = chooseBackup(backups, values.backup, until);
  const folder = path.resolve(values.target ?? "");
  const tablespacesUnder = path.resolve(values["tablespaces-under"] ?? `${folder}-tablespaces`);
  for (const each of [folder, tablespacesUnder]) checkTarget(each, vaultFolder);
  const timeline = values.timeline === undefined ? undefined : Number(values.timeline);
  try {
    restore(vault, backup, { folder, tablespacesUnder }, { until, timeline, histories: values.history ?? [] });
  } catch (cause) {
    if (!(cause instanceof Damaged)) throw cause;
    const way = "Another copy of the vault may have it whole; another backup may do without: name it with --backup";
    throw new Stop(`${cause.message}. ${way}, and see --list`);
  }
}

function checkTarget(folder: string, vaultFolder: string): void {
  if (`${realOf(folder)}/`.startsWith(`${realOf(vaultFolder)}/`)) {
    throw new Stop(`${folder} lies in the vault, where all else is encrypted: restore into a folder outside of it`);
  }
  const names = namesIn(folder);
  if (names.length === 0) return;
  const isBegun = names.includes("PG_VERSION") || names.every((name) => name === "pg_wal");
  const isHalf = isBegun && !isThere(path.join(folder, CONTROL_FILE));
  throw new Stop(
    isHalf
      ? `${folder} is not empty: it holds a data directory without ${CONTROL_FILE}. If that is what a restore left that was cut short, remove it, and the folder of its tablespaces, and run this again`
      : `${folder} is not empty: restore into a folder that is, or is not there`,
  );
}

/** Without the links on the way to it; what is not there yet has none. */
function realOf(folder: string): string {
  if (isThere(folder) || path.dirname(folder) === folder) return fs.realpathSync(folder);
  return path.join(realOf(path.dirname(folder)), path.basename(folder));
}

/**
 * The newest backup from which the target can be reached: PostgreSQL goes no further back than to the end of the backup that it
 * starts from, and would end there without a word.
 */
function chooseBackup(backups: readonly ListedBackup[], wanted: string | undefined, until: Until): ListedBackup {
  const named = wanted === undefined ? backups : backups.filter((each) => each.backupId === wanted);
  if (named.length === 0) throw new Stop(wanted === undefined ? "there is no backup" : `there is no backup ${wanted}`);
  const systems = [...new Set(named.map(({ systemId }) => systemId))];
  if (systems.length > 1) {
    throw new Stop(
      `this vault holds backups of several systems, which are not one another's: name one with --system, or a --backup: ${systems.join(", ")}`,
    );
  }
  const isBefore = endedBy(until, wanted !== undefined);
  const serving = named.filter(isBefore);
  const backup = serving.findLast((each) => !isDoubted(each)) ?? serving.at(-1);
  if (backup !== undefined) {
    for (const each of serving.slice(serving.indexOf(backup) + 1)) say(`Passed over: ${proofNote(each)}`);
    if (isDoubted(backup)) say(`Restoring all the same: ${proofNote(backup)}`);
    return backup;
  }
  const [first] = backups.toSorted((a, b) => (a.endedAt < b.endedAt ? -1 : 1));
  const what = wanted === undefined ? "no backup had" : `backup ${wanted} had not`;
  throw new Stop(
    `${what} ended by ${until.time ?? until.lsn}, and recovery cannot go back behind the end of the backup that it begins with; the oldest one ended at ${first?.endedAt}, ${first?.endLsn}`,
  );
}

function proofNote({ backupId, proof }: ListedBackup): string {
  return `backup ${backupId}, whose newest proof ${proof === "failed" ? "failed" : "does not open"}`;
}

/** Whether a backup had ended by then. */
function endedBy({ time, lsn }: Until, isNamed: boolean): (backup: BackupFacts) => boolean {
  if (time !== undefined) {
    const instant = instantOf(time);
    // Whoever names a backup has looked at when it ended.
    if (instant === undefined && isNamed) return () => true;
    if (instant === undefined) {
      throw new Stop(
        `"${time}" may mean several moments: write the time with its zone, as 2026-01-01 02:59:30+00, or name the --backup`,
      );
    }
    return ({ endedAt }) => Date.parse(endedAt) <= instant;
  }
  if (lsn === undefined) return () => true;
  if (!/^[0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8}$/.test(lsn)) throw new Stop(`"${lsn}" is no position: 0/3000060 is one`);
  return ({ endLsn }) => parseLsn(endLsn) <= parseLsn(lsn);
}

/** Milliseconds since 1970 of a time that says its zone; undefined for any other. */
function instantOf(time: string): number | undefined {
  const match = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d(?:\.\d+)?)?) ?(?:(Z|UTC)|([+-]\d\d)(?::?(\d\d))?)$/i.exec(
    time.trim(),
  );
  if (match === null) return undefined;
  const [, date, clock, utc, hours, minutes = "00"] = match;
  const instant = Date.parse(`${date}T${clock}${utc === undefined ? `${hours}:${minutes}` : "Z"}`);
  return Number.isNaN(instant) ? undefined : instant;
}

function secretOf(vault: string, files: Readonly<Record<string, unknown>>): Secret {
  const { "recovery-key-file": recovery, "passphrase-file": passphrase, "identity-file": identity } = files;
  if (typeof identity === "string") return { kind: "age", text: fs.readFileSync(identity, "utf8") };
  if (typeof recovery === "string") return { kind: "recovery-key", text: fs.readFileSync(recovery, "utf8").trim() };
  if (typeof passphrase === "string") return { kind: "passphrase", text: lineOf(passphrase) };
  const kinds = wrapsIn(vault).flatMap(kindOf);
  if (kinds.length > 0 && kinds.every((kind) => kind === "open")) return { kind: "open" };
  say("The passphrase, then Enter:");
  // 0 is standard input.
  return { kind: "passphrase", text: lineOf(0) };
}

/** None of what is no wrap: that opens nothing for anybody. */
function kindOf(wrap: string): readonly string[] {
  try {
    const { method }: Wrap = JSON.parse(wrap);
    return [method.kind];
  } catch {
    return [];
  }
}

function lineOf(file: string | number): string {
  const bytes = fs.readFileSync(file);
  const text = bytes.toString("utf8");
  if (!Buffer.from(text).equals(bytes)) {
    say("The passphrase holds bytes that are no UTF-8, and all of them count as one sign: is it in another encoding?");
  }
  return text.split(/\r?\n/)[0] ?? "";
}

try {
  main();
} catch (error) {
  // What the machine refuses is told in its own words: a file that is not there, a full disk.
  const isTold = error instanceof Stop || (error instanceof Error && "syscall" in error);
  say(isTold ? error.message : String(error instanceof Error ? error.stack : error));
  process.exitCode = 1;
}

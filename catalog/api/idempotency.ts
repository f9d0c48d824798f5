/**
 * Doing a thing once, however often it is asked for.
 *
 * An answer that holds a secret (a new key) is kept sealed by the idempotency key, of which the database then has only a digest:
 * who reads the database finds no key in it, and who does not know the idempotency key gets none.
 */
import { createCipheriv, createDecipheriv, createHash } from "node:crypto";
import type { RandomSource } from "../../src/platform/random.ts";
import type { Session } from "../database/session.ts";
import { ApiProblem } from "./problems.ts";

/** Who asks, under which key, for what. */
export type Once = {
  readonly caller: string;
  readonly key: string;
  readonly request: Buffer;
  /** Whether the answer is kept sealed. */
  readonly isSecret: boolean;
};

/** What is answered, now or again. */
export type Done = { readonly status: number; readonly content: string; readonly isReplayed: boolean };

/** The digest of a request: its method, path and body. */
export function requestHash(method: string, path: string, body: unknown): Buffer {
  return createHash("sha256")
    .update(`${method} ${path}\n${JSON.stringify(body ?? null)}`)
    .digest();
}

/**
 * Runs `act` unless its key is there, within the caller's transaction. The key is taken first: a second request with it waits for
 * the first one's commit, and then answers what that one answered. Rejects with IDEMPOTENCY_KEY_REUSED for another request.
 */
export async function once(
  session: Session,
  { caller, key: asked, request, isSecret, random }: Once & { readonly random: RandomSource },
  act: () => Promise<{ readonly status: number; readonly content: string }>,
): Promise<Done> {
  const key = isSecret ? digestOf("name", asked).toString("hex") : asked;
  const taken = await session.query(
    `insert into idempotency_keys (caller, key, request_hash, status, content) values ($1, $2, $3, 0, '')
     on conflict (caller, key) do nothing returning 1`,
    [caller, key, request],
  );
  if (taken.rows.length === 0) {
    const done = await doneBefore(session, { caller, key, request });
    return isSecret ? { ...done, content: open(done.content, { caller, key: asked }) } : done;
  }
  const { status, content } = await act();
  await session.query("update idempotency_keys set status = $3, content = $4 where caller = $1 and key = $2", [
    caller,
    key,
    status,
    isSecret ? seal(content, { caller, key: asked }, random) : content,
  ]);
  return { status, content, isReplayed: false };
}

/** What was answered to this very request before; undefined when it was never done. */
export async function answeredBefore(
  session: Session,
  { caller, key: asked, request, isSecret }: Once,
): Promise<Done | undefined> {
  const key = isSecret ? digestOf("name", asked).toString("hex") : asked;
  const { rows } = await session.query("select from idempotency_keys where caller = $1 and key = $2", [caller, key]);
  if (rows.length === 0) return undefined;
  const done = await doneBefore(session, { caller, key, request });
  return isSecret ? { ...done, content: open(done.content, { caller, key: asked }) } : done;
}

/**
 * Writes the key's row anew, as it was (rule B11): after a crash of the server a commit is seen that nobody has confirmed, and only a
 * transaction that writes waits for what was written before it as well.
 */
async function doneBefore(session: Session, { caller, key, request }: Omit<Once, "isSecret">): Promise<Done> {
  const { rows } = await session.query(
    `update idempotency_keys set status = status where caller = $1 and key = $2 and request_hash = $3
     returning status, content`,
    [caller, key, request],
  );
  const [row] = rows;
  if (row === undefined) throw new ApiProblem("IDEMPOTENCY_KEY_REUSED");
  return { status: Number(row["status"]), content: String(row["content"]), isReplayed: true };
}

function digestOf(use: string, key: string): Buffer {
  return createHash("sha256").update(`lifeboat catalogue idempotency ${use}\n${key}`).digest();
}

/** By what an answer is sealed: two callers may come upon one idempotency key, and each has answers of their own. */
type Sealing = { readonly caller: string; readonly key: string };

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Before what is sealed as it is now; before this, the key's digest alone sealed it, and the nonce was always 0. */
const FORM = "2:";

function sealingKey({ caller, key }: Sealing): Buffer {
  return digestOf(`seal 2 ${caller}`, key);
}

/** A try that came to nothing may have sealed another answer by the same key, and its bytes may still lie somewhere: each has its nonce. */
export function seal(content: string, by: Sealing, random: RandomSource): string {
  const nonce = random(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", sealingKey(by), nonce);
  const sealed = Buffer.concat([cipher.update(content, "utf8"), cipher.final()]);
  return FORM + Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString("base64");
}

/** What was sealed. Throws for another caller or key. */
export function open(sealed: string, by: Sealing): string {
  const isOfNow = sealed.startsWith(FORM);
  const stored = Buffer.from(isOfNow ? sealed.slice(FORM.length) : sealed, "base64");
  const bytes = isOfNow ? stored : Buffer.concat([Buffer.alloc(NONCE_BYTES), stored]);
  const key = isOfNow ? sealingKey(by) : digestOf("seal", by.key);
  const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, NONCE_BYTES));
  decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  const text = bytes.subarray(NONCE_BYTES + TAG_BYTES);
  return Buffer.concat([decipher.update(text), decipher.final()]).toString("utf8");
}

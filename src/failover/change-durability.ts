/**
 * Changes how many confirmers a commit waits for, under an epoch and with the record (rule B13).
 *
 * Order, and why: the record is what a failover reckons with once the primary cannot be asked any more, so it must never say
 * more than the primary does. Going down, the record first, then the primary. Going up, the primary first, until a commit was
 * seen to wait; then as many as the mode asks for must have synced all that was acknowledged without them; then the record, which forgets
 * then that the primary was seen to do less. Cut anywhere, the record says the
 * weaker of the two, the other one is an alarm, and the same change goes on from there.
 */
import { parseSyncNames, sameName } from "../durability/names.ts";
import { LifeboatError } from "../errors/error.ts";
import { type Lsn, lsnMin } from "../postgres/lsn.ts";
import type { Acting } from "./acting.ts";
import { requiredConfirmers, synchronousNamesOf } from "./decide.ts";
import type { ClusterRecord, Durability, NodePort, NodeView, StoredRecord } from "./ports.ts";
import { isSynced } from "./waited-for.ts";

/** How long each thing may take. */
export type ChangeLimits = {
  readonly orderMs: number;
  readonly pollMs: number;
  /** Until the confirmers have what was acknowledged before they were waited for. */
  readonly coverMs: number;
};

type PrimaryRole = Extract<NodeView["role"], { readonly kind: "primary" }>;

/**
 * Changes it; resolves with the record as it is then. Rejects with `durability.failover-under-way` where an action has not
 * ended, with `durability.not-taken` where the confirmers do not catch up in time (the primary then does what was asked, and
 * the record says less), and as `Acting.order`. Repeatable.
 */
export async function changeDurability(
  acting: Acting,
  stored: StoredRecord,
  { to, limits }: { readonly to: Durability; readonly limits: ChangeLimits },
): Promise<StoredRecord> {
  const { record } = stored;
  if (record.action !== undefined) throw actionUnderWay(record.action);
  const primary = acting.ports.nodes.find(({ name }) => name === record.primary);
  if (primary === undefined) throw notTaken(record, to, "it is no node of this stack");
  await acting.note({ kind: "intent", name: "durability", facts: { from: record.durability, to } });
  const lowers = requiredConfirmers(to) < requiredConfirmers(record.durability);
  const before = lowers ? await write(acting, stored, { to, limits }) : stored;
  const nodes = acting.ports.nodes.map(({ name }) => name);
  const names = synchronousNamesOf({ ...record, durability: to, nodes });
  await acting.order(limits.orderMs, (epoch, call) => primary.setSynchronousNames({ epoch, names }, call));
  if (!lowers) {
    await untilCommitsWait(acting, primary, { record, to, limits });
    await untilCovered(acting, primary, { record, to, limits });
  }
  const after = lowers ? before : await write(acting, before, { to, limits });
  await acting.note({ kind: "outcome", name: "durability", facts: { to } });
  return after;
}

async function write(
  acting: Acting,
  stored: StoredRecord,
  { to, limits }: { readonly to: Durability; readonly limits: ChangeLimits },
): Promise<StoredRecord> {
  const { durability: from, waitsFor: before } = stored.record;
  // Only who was seen to wait, with what came before covered, is believed again.
  const isLower = requiredConfirmers(to) < requiredConfirmers(from);
  const waitsFor = isLower && before !== undefined && before < requiredConfirmers(to) ? before : undefined;
  if (from === to && before === undefined) return stored;
  const record = { ...stored.record, durability: to, waitsFor };
  const written = await acting.order(limits.orderMs, (epoch, call) =>
    acting.ports.record.write({ epoch, over: stored.version, record }, call),
  );
  if (written.kind === "done") return { version: written.version, epoch: acting.epoch, record };
  throw notTaken(stored.record, to, "another controller wrote the record");
}

/** Until then commits are acknowledged without confirmers, whatever the primary's settings say. */
async function untilCommitsWait(
  acting: Acting,
  primary: NodePort,
  { record, to, limits }: { readonly record: ClusterRecord; readonly to: Durability; readonly limits: ChangeLimits },
): Promise<void> {
  if (requiredConfirmers(to) === 0 || (await primary.commitsWait(acting.call(limits.coverMs)))) return;
  throw notTaken(record, to, "its commits do not wait yet: its checkpointer has not read what it was told");
}

/** What was acknowledged before is on the primary alone, perhaps: it must be where the mode promises it before that is promised. */
async function untilCovered(
  acting: Acting,
  primary: NodePort,
  { record, to, limits }: { readonly record: ClusterRecord; readonly to: Durability; readonly limits: ChangeLimits },
): Promise<void> {
  const required = requiredConfirmers(to);
  const names = synchronousNamesOf({ ...record, durability: to, nodes: acting.ports.nodes.map(({ name }) => name) });
  const { clock } = acting.ports;
  const deadline = clock.monotonic() + limits.coverMs;
  let target: Lsn | undefined;
  for (;;) {
    const role = roleOf(await primary.probe(acting.call(limits.orderMs)), names);
    // Fixed at the first look: what comes later waits for confirmers itself.
    if (role !== undefined && required > 0 && !isSynced(role.synchronousCommit)) {
      throw notTaken(record, to, `its synchronous_commit is ${role.synchronousCommit}: commits wait for nobody's sync`);
    }
    if (role !== undefined) target ??= role.flushed;
    if (role !== undefined && target !== undefined && covering(role, names, target) >= required) return;
    if (clock.monotonic() > deadline) {
      throw notTaken(record, to, `${required} confirmers did not sync what was acknowledged before`);
    }
    await acting.sleep(limits.pollMs);
  }
}

/** The primary's word, once it does what it was told. */
function roleOf(probe: Awaited<ReturnType<NodePort["probe"]>>, names: string): PrimaryRole | undefined {
  if (probe.kind !== "answered" || probe.view.synchronousNames !== names) return undefined;
  return probe.view.role.kind === "primary" ? probe.view.role : undefined;
}

/** As the server counts them: by whole names. Of two under one name nobody knows which is meant, and the lesser counts (rule B12). */
function covering({ confirmers }: PrimaryRole, names: string, target: Lsn): number {
  const read = parseSyncNames(names);
  const listed = read?.kind === "wait" ? read.names : [];
  const synced = new Map<string, Lsn>();
  for (const { applicationName, streaming, flushed } of confirmers) {
    const name = listed.find((each) => sameName(each, applicationName));
    if (!streaming || name === undefined) continue;
    synced.set(name, lsnMin(synced.get(name) ?? flushed, flushed));
  }
  return [...synced.values()].filter((flushed) => flushed >= target).length;
}

function actionUnderWay({ kind, epoch, from, to }: NonNullable<ClusterRecord["action"]>): LifeboatError {
  return new LifeboatError("durability.failover-under-way", {
    message: `a ${kind} of epoch ${epoch} from ${from} to ${to} has not ended: what waits on ${from} may be on no other node`,
    remedy: "Let it end: see `lifeboat failover --check-only`. Then change durability on whoever is the primary.",
    retryable: true,
  });
}

function notTaken({ primary, durability }: ClusterRecord, to: Durability, why: string): LifeboatError {
  return new LifeboatError("durability.not-taken", {
    message: `durability ${to} was asked of ${primary}, and ${why}; the record says ${durability}`,
    remedy: "See who confirms, `lifeboat durability`, then run the same command again: it goes on from there.",
    retryable: true,
  });
}

/**
 * What promoting a node would cost beside writes: what replication does not carry over, and what is read differently there. Pure.
 *
 * Nouns: an *inventory* is what a node said of its logical slots and of the libraries that it sorts by; a *cost* is something that
 * works on the primary and would not on the candidate.
 * Invariants: what was not seen is a cost of its own and never taken for none; nothing here decides whether a primary that is gone
 * is replaced: its writes are worth more than any of this.
 */
import { type CollationVersion, collationRemedy } from "../postgres/collations.ts";
import { type LogicalSlot, SLOTS_COPIED_SINCE_MAJOR } from "../postgres/logical-slots.ts";
import type { Lsn } from "../postgres/lsn.ts";
import { describeVersion, majorOf } from "../postgres/server-version.ts";
import { quoteLiteral } from "../postgres/wire/outgoing.ts";
import type { NodeName } from "./ports.ts";

/** What a node said. */
export type Inventory = {
  readonly serverVersion: number;
  readonly isStandby: boolean;
  /** Of a primary: where its reign began. Undefined of a standby, and on the first timeline. */
  readonly timelineStart: Lsn | undefined;
  readonly slots: readonly LogicalSlot[];
  readonly collations: readonly CollationVersion[];
  /** It has more of either than are read. */
  readonly isCut: boolean;
};

/** What it would cost. */
export const COST_CODES = [
  /** The candidate has no such slot, or none that anybody could go on from. */
  "slot-missing",
  /** The candidate sorts text by another version of a library than the primary. */
  "collation-differs",
  /** Both nodes sort text by another version than that by which it was sorted: switching changes nothing. */
  "collation-changed",
  /** A node could not be asked, nor was it before; or it has more than was read. */
  "not-known",
] as const;

/** A cost. */
export type Cost = {
  readonly code: (typeof COST_CODES)[number];
  /** The slot, the database or the collation; the node that could not be asked. */
  readonly of: string;
  readonly says: string;
  readonly remedy: string;
};

/** A node and what it said, at whatever time; undefined: it never did. `unanswered`: why it did not when it was asked last. */
export type Inventoried = {
  readonly name: NodeName;
  readonly inventory: Inventory | undefined;
  readonly unanswered?: string | undefined;
};

/** Compares. */
export function costsOf({
  primary,
  candidate,
}: {
  readonly primary: Inventoried;
  readonly candidate: Inventoried;
}): readonly Cost[] {
  const [from, to] = [primary.inventory, candidate.inventory];
  const unknown = [primary, candidate].flatMap(unknownOf);
  const slots = from === undefined || to === undefined ? [] : slotCosts(from, to, candidate.name);
  return [...unknown, ...slots, ...(to === undefined ? [] : collationCosts(from, to, candidate.name))];
}

/** What must be accepted before the role is handed over as planned: what is not as bad already. */
export function toBeAccepted(costs: readonly Cost[]): readonly Cost[] {
  return costs.filter(({ code }) => code !== "collation-changed");
}

/** Costs in the words that a person types to accept them; undefined where there are none. */
export function statedCosts(costs: readonly Cost[]): string | undefined {
  const names = toBeAccepted(costs).map(({ code, of }) => (code === "not-known" ? "unknown" : of));
  return names.length === 0 ? undefined : [...new Set(names)].toSorted().join(", ");
}

/** Whether what was typed is what is stated, in whatever order. */
export function isAccepted(costs: readonly Cost[], typed: string | undefined): boolean {
  const words = (text = ""): string => [...new Set(text.split(",").map((each) => each.trim()))].toSorted().join(", ");
  const stated = statedCosts(costs);
  return stated === undefined || words(typed) === words(stated);
}

/** A cost, and what to do about it. */
export function sentenceOf({ says, remedy }: Cost): string {
  return `${says}. ${remedy}`;
}

function unknownOf({ name, inventory, unanswered }: Inventoried): readonly Cost[] {
  if (inventory?.isCut === true) {
    const says = `${name} has more logical slots, databases or collations than are read: the others were not compared`;
    return [{ code: "not-known", of: name, says, remedy: "Compare pg_replication_slots and pg_database by hand." }];
  }
  return inventory === undefined ? [notKnown(name, unanswered)] : [];
}

function notKnown(name: NodeName, unanswered: string | undefined): Cost {
  return {
    code: "not-known",
    of: name,
    says: `${name} never told its logical slots, nor by which libraries it sorts text${unanswered === undefined ? "" : ` (${unanswered})`}`,
    remedy: `Let it answer, and look again; else look for subscribers that lost their slot once the role has moved.`,
  };
}

function slotCosts(from: Inventory, to: Inventory, candidate: NodeName): readonly Cost[] {
  return from.slots
    .filter(({ isLost, isUnfinished }) => !isLost && !isUnfinished)
    .flatMap((slot) => {
      const copy = to.slots.find(({ name, database }) => name === slot.name && database === slot.database);
      if (copy !== undefined && !copy.isLost && !copy.isUnfinished && !isLeftover(slot, copy, from.timelineStart))
        return [];
      const missing = { slot, copy, candidate, serverVersion: from.serverVersion };
      const says = `logical slot ${slot.name} (${slot.plugin}, database ${slot.database}) ${whyMissing(missing)}`;
      return [{ code: "slot-missing", of: slot.name, says, remedy: slotRemedy(missing) }];
    });
}

/**
 * Of a time when the candidate was the primary: it is in the way of a copy, and stands still. What copies slots beside PostgreSQL
 * (pg_failover_slots, below 17 too) lags by a minute, of which bytes tell nothing: but it has come into the reign of the primary, or as far
 * as the primary's own slot, and what was left from before has not: a node follows as it is only where its WAL ends before that reign.
 */
function isLeftover(slot: LogicalSlot, copy: LogicalSlot, reignBegan: Lsn | undefined): boolean {
  if (copy.isSynced) return false;
  if (slot.failover || copy.confirmed === undefined) return true;
  if (slot.confirmed !== undefined && copy.confirmed >= slot.confirmed) return false;
  return reignBegan !== undefined && copy.confirmed <= reignBegan;
}

type Missing = {
  readonly slot: LogicalSlot;
  readonly copy: LogicalSlot | undefined;
  readonly candidate: NodeName;
  readonly serverVersion: number;
};

function whyMissing({ slot, copy, candidate, serverVersion }: Missing): string {
  if (copy?.isLost === true) return `is invalid on ${candidate}: what goes on from it would stop`;
  if (copy?.isUnfinished === true) return `is not ready on ${candidate} yet, and would be dropped there`;
  if (copy !== undefined) return `is one of its own on ${candidate}, which stands still: what goes on from it may stop`;
  if (majorOf(serverVersion) < SLOTS_COPIED_SINCE_MAJOR) {
    return `is not on ${candidate}, since ${describeVersion(serverVersion)} copies none: what goes on from it would stop`;
  }
  const why = slot.failover ? "though it is marked failover" : "since it is not marked failover";
  return `is not on ${candidate}, ${why}: what goes on from it would stop`;
}

/** What was written before it is made anew nobody can have from it: whoever reads begins from a new copy. */
function slotRemedy({ slot, copy, candidate, serverVersion }: Missing): string {
  const anew = `Once ${candidate} is the primary: make it anew there before clients write, and what it fed from a new copy.`;
  if (copy !== undefined && !copy.isUnfinished) {
    const drop = `SELECT pg_drop_replication_slot(${quoteLiteral(slot.name)});`;
    return slot.failover ? `On ${candidate}: ${drop} It is copied anew then. Else: ${anew}` : `${anew} Before: ${drop}`;
  }
  if (majorOf(serverVersion) < SLOTS_COPIED_SINCE_MAJOR) return anew;
  return slot.failover
    ? `On ${candidate}: sync_replication_slots and hot_standby_feedback on, a dbname in primary_conninfo; its log says what else. Else: ${anew}`
    : `Of a subscription: ALTER SUBSCRIPTION … SET (failover = true), while it is disabled. Else: ${anew}`;
}

function collationCosts(from: Inventory | undefined, to: Inventory, candidate: NodeName): readonly Cost[] {
  return to.collations.flatMap((there): readonly Cost[] => {
    const here = from?.collations.find(({ kind, name }) => kind === there.kind && name === there.name);
    const { kind, name, library, recorded, actual } = there;
    const what = `text in ${kind} ${name}`;
    const remedy = collationRemedy(there);
    if (here === undefined ? recorded !== actual : here.actual !== actual) {
      const by = here === undefined ? `version ${recorded}` : `version ${here.actual} on the primary`;
      const says = `${what} is sorted by ${library} ${by}, and by ${actual} on ${candidate}: indexes over it are read wrongly there`;
      return [
        {
          code: "collation-differs",
          of: name,
          says,
          remedy: `Give both machines the same ${library}. Else, once ${candidate} is the primary: ${remedy}`,
        },
      ];
    }
    if (recorded === actual) return [];
    const says = `${what} was sorted by ${library} version ${recorded}, and is by ${actual} on both nodes: indexes over it may be read wrongly already`;
    return [{ code: "collation-changed", of: name, says, remedy: `On the primary. ${remedy}` }];
  });
}

/**
 * Which data key is newer.
 *
 * Nothing in a vault numbers its data keys: only the dates of their wraps tell. A wrap's date is when a holder was added, not
 * when the data key was made, and who is added by a holder whom a rotation left out gets an old data key under a late date. So
 * the latest date of all says nothing, and the first one little: a holder may be given an older data key after a newer one.
 * What holds is that whoever wraps several data keys for one holder dates them in the order of their age, and a rotation dates its
 * wrap behind those that are there.
 */
import { assert } from "../errors/error.ts";
import type { StoredWrap } from "./key-open.ts";
import type { KeyId } from "./names.ts";

type DatedWrap = Pick<StoredWrap, "wrapId"> & { readonly wrap: Pick<StoredWrap["wrap"], "keyId" | "createdAt"> };

/**
 * The data keys of these wraps from the oldest to the newest: in the order of dates within each holder; where no holder has both,
 * and where holders contradict each other, in the order of each one's first date.
 */
export function keysByAge(wraps: readonly DatedWrap[]): readonly KeyId[] {
  const byDate = wraps.toSorted((a, b) => compareDates(a.wrap.createdAt, b.wrap.createdAt));
  const left = new Set(byDate.map(({ wrap }) => wrap.keyId));
  const older = olderKeys(byDate);
  const ordered: KeyId[] = [];
  while (left.size > 0) {
    const isNext = (keyId: KeyId) =>
      ![...(older.get(keyId) ?? [])].some((each) => left.has(each) && older.get(each)?.has(keyId) !== true);
    const [first] = left;
    const next = [...left].find(isNext) ?? first;
    assert(next !== undefined, "a set that is not empty has a first member");
    left.delete(next);
    ordered.push(next);
  }
  return ordered;
}

/** Of each data key those that some holder got under an earlier date. */
function olderKeys(byDate: readonly DatedWrap[]): ReadonlyMap<KeyId, ReadonlySet<KeyId>> {
  const older = new Map<KeyId, Set<KeyId>>();
  for (const wraps of Map.groupBy(byDate, ({ wrapId }) => wrapId).values()) {
    for (const { wrap } of wraps) {
      const known = older.get(wrap.keyId) ?? new Set();
      older.set(wrap.keyId, known);
      for (const { wrap: other } of wraps) {
        if (compareDates(other.createdAt, wrap.createdAt) >= 0) break;
        known.add(other.keyId);
      }
    }
  }
  return older;
}

function compareDates(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { collation, inventory, logicalSlot } from "../../test/support/inventories.ts";
import type { Lsn } from "../postgres/lsn.ts";
import { type Cost, costsOf, type Inventory, isAccepted, statedCosts } from "./costs.ts";

const PG17 = 170_006;

function costs(primary: Partial<Inventory> | undefined, candidate: Partial<Inventory> | undefined): readonly Cost[] {
  const said = (given: Partial<Inventory> | undefined) => (given === undefined ? undefined : inventory(given));
  return costsOf({
    primary: { name: "db", inventory: said(primary) },
    candidate: { name: "db_replica", inventory: said(candidate) },
  });
}

const cdc = logicalSlot();
const at = (confirmed: number) => logicalSlot({ confirmed: BigInt(confirmed) as Lsn });
const marked = logicalSlot({ failover: true });

test("each logical slot of the primary that nobody could go on from at the candidate is a cost, with why and what to do", () => {
  const rows: readonly (readonly [string, readonly Cost[], RegExp, RegExp])[] = [
    ["16, none", costs({ slots: [cdc] }, {}), /cdc \(pgoutput, database catalog\).*16.14 copies none/, /make it anew/],
    [
      "17, not marked",
      costs({ slots: [cdc], serverVersion: PG17 }, {}),
      /not marked failover/,
      /ALTER SUBSCRIPTION … SET \(failover = true\)/,
    ],
    [
      "17, not synced",
      costs({ slots: [marked], serverVersion: PG17 }, {}),
      /though it is marked failover/,
      /sync_replication_slots/,
    ],
    [
      "17, not ready",
      costs({ slots: [marked], serverVersion: PG17 }, { slots: [logicalSlot({ isSynced: true, isUnfinished: true })] }),
      /not ready/,
      /sync_replication_slots/,
    ],
    [
      "17, invalid",
      costs({ slots: [marked], serverVersion: PG17 }, { slots: [logicalSlot({ isSynced: true, isLost: true })] }),
      /is invalid on db_replica/,
      /pg_drop_replication_slot\('cdc'\)/,
    ],
    [
      "17, left from when it was the primary",
      costs({ slots: [marked], serverVersion: PG17 }, { slots: [marked] }),
      /one of its own on db_replica, which stands still/,
      /pg_drop_replication_slot\('cdc'\)/,
    ],
    [
      "16, left from when it was the primary: the primary's was made anew since",
      costs({ slots: [at(700)], timelineStart: at(500).confirmed }, { slots: [at(500)] }),
      /one of its own on db_replica, which stands still/,
      /make it anew.* Before: SELECT pg_drop_replication_slot\('cdc'\)/,
    ],
    [
      "16, being made",
      costs({ slots: [cdc] }, { slots: [logicalSlot({ confirmed: undefined })] }),
      /one of its own on db_replica/,
      /make it anew/,
    ],
    [
      "of another database",
      costs({ slots: [cdc] }, { slots: [logicalSlot({ database: "other" })] }),
      /database catalog/,
      /make it anew/,
    ],
  ];
  for (const [name, found, says, remedy] of rows) {
    assert.deepEqual(
      found.map(({ code, of }) => [code, of]),
      [["slot-missing", "cdc"]],
      name,
    );
    assert.match(found[0]?.says ?? "", says, name);
    assert.match(found[0]?.remedy ?? "", remedy, name);
  }
});

test("a slot that the candidate has, and one that is lost on the primary already, cost nothing", () => {
  const copy = logicalSlot({ failover: true, isSynced: true });
  assert.deepEqual(costs({ slots: [marked], serverVersion: PG17 }, { slots: [copy] }), []);
  // Somebody else copies them, below 17 too: some way behind, and where nobody has read since the role moved.
  for (const [began, primarys, copied] of [
    [undefined, 700, 1],
    [500, 700, 501],
    [500, 400, 400],
  ] as const) {
    const timelineStart = began === undefined ? undefined : at(began).confirmed;
    assert.deepEqual(costs({ slots: [at(primarys)], timelineStart }, { slots: [at(copied)] }), []);
  }
  assert.deepEqual(costs({ slots: [logicalSlot({ isLost: true })] }, {}), []);
});

test("text that the candidate sorts by another version is a cost; text that both sort by another is one already", () => {
  const rows: readonly (readonly [string, readonly Cost[], readonly string[]])[] = [
    ["the same", costs({ collations: [collation()] }, { collations: [collation()] }), []],
    [
      "the candidate's is newer",
      costs({ collations: [collation()] }, { collations: [collation({ actual: "2.41" })] }),
      ["collation-differs catalog"],
    ],
    [
      // The record was refreshed for the candidate's: the primary's own is wrong, and the candidate's indexes are as old.
      "the primary's is older than what is recorded",
      costs(
        { collations: [collation({ recorded: "2.41" })] },
        { collations: [collation({ recorded: "2.41", actual: "2.41" })] },
      ),
      ["collation-differs catalog"],
    ],
    [
      "both are newer than what is recorded",
      costs({ collations: [collation({ actual: "2.41" })] }, { collations: [collation({ actual: "2.41" })] }),
      ["collation-changed catalog"],
    ],
    [
      "nothing is known of the primary",
      costs(undefined, { collations: [collation({ actual: "2.41" })] }),
      ["not-known db", "collation-differs catalog"],
    ],
    [
      "a collation of ICU",
      costs(
        { collations: [collation({ kind: "collation", name: "german", library: "ICU" })] },
        { collations: [collation({ kind: "collation", name: "german", library: "ICU", actual: "153.121" })] },
      ),
      ["collation-differs german"],
    ],
  ];
  for (const [name, found, expected] of rows) {
    assert.deepEqual(
      found.map(({ code, of }) => `${code} ${of}`),
      expected,
      name,
    );
  }
  const [cost] = costs({ collations: [collation()] }, { collations: [collation({ actual: "2.41" })] });
  assert.match(cost?.says ?? "", /glibc version 2.36 on the primary, and by 2.41 on db_replica/);
  assert.match(cost?.remedy ?? "", /REINDEX DATABASE "catalog"; ALTER DATABASE "catalog" REFRESH COLLATION VERSION;/);
});

test("costs are accepted by naming all of them, in any order; what is as bad already needs no word", () => {
  const found = costs(
    { slots: [cdc, logicalSlot({ name: "audit" })] },
    { collations: [collation({ actual: "2.41" })] },
  );
  assert.equal(statedCosts(found), "audit, catalog, cdc");
  for (const [typed, accepted] of [
    ["audit, catalog, cdc", true],
    ["cdc,audit ,catalog", true],
    ["audit, cdc", false],
    ["", false],
    [undefined, false],
  ] as const) {
    assert.equal(isAccepted(found, typed), accepted, typed);
  }
  assert.equal(statedCosts(costs(undefined, {})), "unknown");
  // What was not read is not none, on either side.
  assert.equal(statedCosts(costs({ isCut: true }, {})), "unknown");
  assert.equal(statedCosts(costs({ slots: [cdc] }, { isCut: true })), "cdc, unknown");
  const both = [collation({ actual: "2.41" })];
  const changed = costs({ collations: both }, { collations: both });
  assert.deepEqual([changed.length, statedCosts(changed), isAccepted(changed, undefined)], [1, undefined, true]);
});

/** What every register promises, as one suite of tests. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Epoch } from "../lease.ts";
import type { Register } from "../register.ts";

/** An empty register for one case. `again`: another one over the same content. */
export type RegisterUnderTest = { readonly register: Register; again(): Register; close(): Promise<void> };

/** Registers the suite; `open` is called once for each case. */
export function testRegisterConformance(name: string, open: () => Promise<RegisterUnderTest>): void {
  for (const [sentence, run] of CASES) {
    test(`${name}: ${sentence}`, async () => {
      const opened = await open();
      try {
        await run(opened);
      } finally {
        await opened.close();
      }
    });
  }
}

const CASES: readonly (readonly [string, (opened: RegisterUnderTest) => Promise<void>])[] = [
  [
    "it is empty before the first write, and then has what was written last",
    async ({ register, again }) => {
      assert.equal(await register.read({}), undefined);
      const value = { primary: "db", joined: ["db_replica"], action: null };
      const first = await register.write({ over: 0, epoch: epoch(3), value }, {});
      assert.deepEqual(first, { kind: "written", version: 1 });
      assert.deepEqual(await again().read({}), { version: 1, epoch: 3, value });
      const second = await again().write({ over: 1, epoch: epoch(3), value: 4 }, {});
      assert.deepEqual(second, { kind: "written", version: 2 });
      assert.deepEqual(await register.read({}), { version: 2, epoch: 3, value: 4 });
    },
  ],
  [
    "a smaller epoch than the last changes nothing and is told so",
    async ({ register, again }) => {
      await register.write({ over: 0, epoch: epoch(8), value: "new" }, {});
      const stale = { kind: "stale", seen: 8 };
      assert.deepEqual(await again().write({ over: 1, epoch: epoch(7), value: "old" }, {}), stale);
      assert.deepEqual(await register.read({}), { version: 1, epoch: 8, value: "new" });
    },
  ],
  [
    "who has read another version than the one that is there changes nothing",
    async ({ register, again }) => {
      await register.write({ over: 0, epoch: epoch(1), value: "a" }, {});
      await register.write({ over: 1, epoch: epoch(1), value: "b" }, {});
      for (const over of [0, 1, 3]) {
        const late = await again().write({ over, epoch: epoch(9), value: "late" }, {});
        assert.deepEqual(late, { kind: "conflict" });
      }
      assert.deepEqual(await register.read({}), { version: 2, epoch: 1, value: "b" });
    },
  ],
  [
    "of several that write over the same version one does",
    async ({ register, again }) => {
      const answers = await Promise.all(
        // One at a time may write to some registers: the others are told so, and that is no write.
        [5, 5, 5, 5].map((each, value) =>
          again()
            .write({ over: 0, epoch: epoch(each), value }, {})
            .catch(() => ({ kind: "conflict" }) as const),
        ),
      );
      const written = answers.flatMap(({ kind }, value) => (kind === "written" ? [value] : []));
      assert.equal(written.length, 1);
      assert.deepEqual(await register.read({}), { version: 1, epoch: 5, value: written[0] });
    },
  ],
];

function epoch(value: number): Epoch {
  return value as Epoch;
}

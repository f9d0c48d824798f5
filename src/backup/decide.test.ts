import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseLsn, type SystemId, type Timeline } from "../postgres/lsn.ts";
import { decideFull, describeWhyFull, type ParentFacts, type ServerNow, type WhyFull } from "./decide.ts";

const SETTINGS = { fullPageWrites: true, walLogHints: false, walLevel: "replica", dataChecksums: true };
const systemId = "7000000000000000001" as SystemId;

const parent: ParentFacts = {
  systemId,
  serverMajor: 16,
  timeline: 1 as Timeline,
  history: null,
  endLsn: "0/5000000",
  settings: SETTINGS,
};
const server: ServerNow = {
  systemId,
  serverMajor: 16,
  timeline: 1 as Timeline,
  history: [],
  historyTexts: new Map(),
  settings: SETTINGS,
};

const left = (at: string) => [{ timeline: 1 as Timeline, switchLsn: parseLsn(at) }];
const onTwo = (at: string): ServerNow => ({
  ...server,
  timeline: 2 as Timeline,
  history: left(at),
  historyTexts: new Map([[2 as Timeline, `1\t${at}\tno recovery target specified\n`]]),
});

describe("whether an earlier backup may be a parent", () => {
  test("the same cluster under the same settings may", () => {
    assert.equal(decideFull(parent, server), undefined);
    const hints = { ...SETTINGS, dataChecksums: false, walLogHints: true };
    assert.equal(decideFull({ ...parent, settings: hints }, { ...server, settings: hints }), undefined);
  });

  test("another system or version may not", () => {
    assert.equal(decideFull(parent, { ...server, systemId: "7" as SystemId }), "other-system");
    assert.equal(decideFull(parent, { ...server, serverMajor: 17 }), "other-version");
  });

  test("after a promotion it may when it had ended before the branches parted, to the byte", () => {
    assert.equal(decideFull(parent, onTwo("0/5000000")), undefined);
    assert.equal(decideFull(parent, onTwo("0/4FFFFFF")), "other-history");
    assert.equal(decideFull({ ...parent, timeline: 3 as Timeline, history: "x" }, onTwo("0/5000000")), "other-history");
  });

  test("one behind the position to which the server went back may not, whatever its timeline was left at before", () => {
    const back = [...left("0/6000000"), { timeline: 2 as Timeline, switchLsn: parseLsn("0/4FFFFFF") }];
    const onThree = { ...server, timeline: 3 as Timeline, history: back };
    assert.equal(decideFull(parent, onThree), "other-history");
    assert.equal(decideFull({ ...parent, endLsn: "0/4FFFFFF" }, onThree), undefined);
  });

  test("a timeline of the same number with another history is another branch", () => {
    const text = "1\t0/3000000\tno recovery target specified\n";
    const onBranch = { ...parent, timeline: 2 as Timeline, history: text };
    assert.equal(decideFull(onBranch, { ...onTwo("0/3000000") }), undefined);
    assert.equal(decideFull(onBranch, { ...onTwo("0/3000060") }), "other-history");
  });

  test("each setting that lets pages change unseen forbids it, at the parent and now", () => {
    const cases: readonly [Partial<typeof SETTINGS>, WhyFull][] = [
      [{ fullPageWrites: false }, "full-page-writes-off"],
      [{ dataChecksums: false }, "no-checksums-and-no-hints"],
      [{ dataChecksums: false, walLogHints: true }, "checksums-switched"],
      [{ walLevel: "minimal" }, "wal-level-changed"],
    ];
    for (const [change, why] of cases) {
      const changed = { ...SETTINGS, ...change };
      assert.equal(decideFull({ ...parent, settings: changed }, server), why);
      assert.equal(decideFull(parent, { ...server, settings: changed }), why);
    }
  });

  test("a reason is told in words, one of a later version by its code", () => {
    assert.equal(describeWhyFull("no-parent"), "there is no earlier backup of this system");
    assert.equal(describeWhyFull("moon-phase"), "moon-phase");
  });
});

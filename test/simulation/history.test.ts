import assert from "node:assert/strict";
import { test } from "node:test";
import { History } from "./history.ts";

const OLD = { name: "a", timeline: 1, reign: 1 };
const NEW = { name: "b", timeline: 2, reign: 2 };

/** The role went from a to b, whose timeline began with writes 1 and 2. */
function afterFailover(): History {
  const history = new History(
    () => 0,
    () => ({ primary: "b", timeline: 2 }),
  );
  history.promoted(
    2,
    [1, 2].map((write) => ({ start: write * 10, end: write * 10 + 10, timeline: 1, write })),
  );
  return history;
}

function kinds({ violations }: History): readonly string[] {
  return violations.map(({ kind }) => kind);
}

test("two nodes, the new one promoted: the old one may still tell what the new timeline began with, whatever became of the new one", () => {
  const history = afterFailover();
  history.acknowledge(NEW, 3);
  history.acknowledge(OLD, 2);
  assert.deepEqual(kinds(history), []);
});

test("two nodes, the new one promoted: anything else that the old one acknowledges is a violation", () => {
  for (const write of [3, 4]) {
    const history = afterFailover();
    history.acknowledge(NEW, 3);
    history.acknowledge(OLD, write);
    assert.deepEqual(kinds(history), ["two nodes acknowledged"]);
  }
});

test("two nodes, the record still names the old one: it may not acknowledge after the new timeline has", () => {
  const history = new History(
    () => 0,
    () => ({ primary: "a", timeline: 1 }),
  );
  history.acknowledge(NEW, 3);
  history.acknowledge(OLD, 4);
  assert.deepEqual(kinds(history), ["two nodes acknowledged"]);
});

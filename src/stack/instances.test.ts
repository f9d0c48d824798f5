import assert from "node:assert/strict";
import { test } from "node:test";
import { testStack } from "../../test/support/stacks.ts";
import { COMPONENT_NAMES } from "./component-names.ts";
import { allRun, apiSocketOf, componentOf, instancesOf, poolerSocketFolder, surplusOf } from "./instances.ts";

const stack = testStack({ poolers: 3 });

test("each program of the poolers has a name of its own, the first that of the component, and every name leads back", () => {
  assert.deepEqual(instancesOf(stack, "pgbouncer"), ["pgbouncer", "pgbouncer_2", "pgbouncer_3"]);
  for (const component of COMPONENT_NAMES) {
    assert.equal(instancesOf(stack, component)[0], component);
    for (const name of instancesOf(stack, component)) assert.equal(componentOf(name), component);
  }
  // Only what can be several has numbers.
  for (const name of ["db_2", "db_replica_2", "pgbouncer_", "other", ""])
    assert.equal(componentOf(name), undefined, name);
});

test("all run only when none is missing and none is there that is not wanted any more", () => {
  const three = new Set(["db", "pgbouncer", "pgbouncer_2", "pgbouncer_3"]);
  assert.equal(allRun(stack, "pgbouncer", three), true);
  assert.equal(allRun(stack, "db", three), true);
  assert.equal(allRun(testStack({ poolers: 4 }), "pgbouncer", three), false);
  assert.equal(allRun(testStack({ poolers: 2 }), "pgbouncer", three), false);
  assert.deepEqual(surplusOf(testStack(), "pgbouncer", three), ["pgbouncer_2", "pgbouncer_3"]);
});

test("the API is several programs from the start, each with a socket of its own", () => {
  const names = instancesOf(stack, "api");
  assert.deepEqual(names, ["api", "api_2", "api_3"]);
  assert.equal(new Set(names.map((name) => apiSocketOf(stack, name))).size, 3);
});

test("no two poolers have a socket in the same folder", () => {
  const folders = instancesOf(stack, "pgbouncer").map((name) => poolerSocketFolder(stack, name));
  assert.equal(new Set(folders).size, 3);
  assert.equal(folders[0], stack.place.sockets);
});

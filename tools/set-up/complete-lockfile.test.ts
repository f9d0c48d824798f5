import assert from "node:assert/strict";
import { test } from "node:test";
import { completeLockfile, missingOptionals, platformOf } from "./complete-lockfile.ts";

test("a lockfile gets an entry for each platform build it lacks, and none twice", () => {
  const lock = {
    packages: {
      "": {},
      "node_modules/a": { optionalDependencies: { "a-darwin-arm64": "1.2.3", "a-linux-x64": "1.2.3" } },
      "node_modules/a-linux-x64": { version: "1.2.3" },
    },
  };
  const completed = completeLockfile(lock);
  assert.deepEqual(missingOptionals(lock), [{ name: "a-darwin-arm64", version: "1.2.3" }]);
  assert.deepEqual(missingOptionals(completed), []);
  assert.deepEqual(Object.keys(completed.packages), [
    "",
    "node_modules/a",
    "node_modules/a-darwin-arm64",
    "node_modules/a-linux-x64",
  ]);
});

test("the platform is read from a package's name, and a name without a processor is refused", () => {
  assert.deepEqual(platformOf("@x/binding-linux-arm-musleabihf"), { cpu: ["arm"], os: ["linux"], libc: ["musl"] });
  assert.deepEqual(platformOf("@x/cli-win32-x64"), { cpu: ["x64"], os: ["win32"] });
  assert.throws(() => platformOf("left-pad"), /no processor/);
});

import assert from "node:assert/strict";
import { type Story, testPowerCuts } from "../../../test/support/power-cuts.ts";
import { type ComponentRecord, hasRecord, keepReserve, readRecord, removeRecord, writeRecord } from "./record.ts";

const FOLDER = "/srv/stack";

function writing(): Story {
  let promised: "nothing" | "there" | "gone" = "nothing";
  return {
    before: (files) => files.makeFolder(FOLDER),
    live: async (files) => {
      await keepReserve(files, FOLDER);
      await writeRecord(files, FOLDER, new Map<string, ComponentRecord>());
      promised = "there";
      promised = "nothing";
      await removeRecord(files, FOLDER);
      promised = "gone";
    },
    after: async (files) => {
      if (promised !== "nothing") assert.equal(await hasRecord(files, FOLDER), promised === "there");
      await readRecord(files, FOLDER);
      await keepReserve(files, FOLDER);
    },
  };
}

testPowerCuts("the supervisor's record", writing, ["src/platform/local/record.ts removeRecord: syncFolder"]);

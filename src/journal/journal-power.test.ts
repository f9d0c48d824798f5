import assert from "node:assert/strict";
import path from "node:path";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { FREE_LOCKS, type Story, testPowerCuts } from "../../test/support/power-cuts.ts";
import type { Files } from "../platform/files.ts";
import { Journal } from "./journal.ts";
import { readJournal } from "./read.ts";
import { JOURNAL_FILE } from "./record.ts";

const FOLDER = "/srv/stack/journal";
const FILE = path.join(FOLDER, JOURNAL_FILE);

async function append(files: Files, names: readonly string[], promised: string[]): Promise<void> {
  const journal = await Journal.open({ files, locks: FREE_LOCKS, clock: new ManualClock() }, FOLDER);
  for (const name of names) {
    await journal.append({ epoch: 1, kind: "intent", name, facts: { text: name.repeat(50) } });
    promised.push(name);
  }
  await journal.close();
}

/** What was acknowledged is in the chain that begins the journal, and it is written on. */
async function assertKept(files: Files, promised: readonly string[]): Promise<void> {
  await append(files, ["later"], []);
  const reading = await readJournal(files, FILE);
  assert.equal(reading?.tail.kind, "whole");
  const names = reading?.records.map(({ name }) => name) ?? [];
  for (const name of promised) assert.ok(names.includes(name), `${name} is in ${names.join()}`);
}

const before = (files: Files): Promise<void> => files.makeFolder("/srv/stack");

function appending(): Story {
  const promised: string[] = [];
  return {
    before,
    live: async (files) => {
      await append(files, ["a", "b"], promised);
      await append(files, ["c"], promised);
    },
    after: (files) => assertKept(files, promised),
  };
}

testPowerCuts("records appended", appending, [
  "src/journal/journal.ts write: sync",
  "src/platform/durable.ts makeFolderDurable: syncFolder",
  "src/platform/durable.ts writeDurable: syncFolder",
]);

/** A record that was cut off is kept aside before the journal goes on without it. */
function mending(): Story {
  const promised: string[] = [];
  let torn: Buffer = Buffer.alloc(0);
  return {
    before: async (files) => {
      await before(files);
      await append(files, ["a", "b"], promised);
      const handle = await files.open(FILE, "update");
      const { sizeBytes } = await handle.stat();
      await handle.truncate(sizeBytes - 40);
      await handle.close();
      promised.pop();
      const whole = (await readJournal(files, FILE))?.wholeBytes ?? 0;
      torn = (await files.readFile(FILE)).subarray(whole);
    },
    live: (files) => append(files, ["c"], promised),
    after: async (files) => {
      await assertKept(files, promised);
      const kept: Buffer[] = [];
      for (const { name } of await files.list(FOLDER)) {
        if (name.startsWith("journal-torn-")) kept.push(await files.readFile(path.join(FOLDER, name)));
      }
      assert.ok(
        kept.some((bytes) => bytes.equals(torn)),
        "what was torn is kept",
      );
    },
  };
}

testPowerCuts("a torn tail mended", mending, ["src/platform/durable.ts writeAndSync: sync"]);

/** A journal that was changed is set aside whole. */
function settingAside(): Story {
  const promised: string[] = [];
  let changed: Buffer = Buffer.alloc(0);
  let begun = false;
  return {
    before: async (files) => {
      await before(files);
      await append(files, ["a", "b", "c"], []);
      changed = await files.readFile(FILE);
      changed[changed.indexOf('"a"') + 1] = 0x7a;
      const handle = await files.open(FILE, "update");
      await handle.write(changed, 0);
      await handle.close();
    },
    live: async (files) => {
      await append(files, ["d"], promised);
      begun = true;
    },
    after: async (files) => {
      await assertKept(files, promised);
      const names = (await files.list(FOLDER)).map(({ name }) => name);
      const aside = names.find((name) => name.startsWith("journal-changed-"));
      assert.ok(aside !== undefined, `${begun}: ${names.join()}`);
      assert.ok((await files.readFile(path.join(FOLDER, aside))).equals(changed));
    },
  };
}

testPowerCuts("a changed journal set aside", settingAside, []);

/** A full journal is set aside, and the chain goes on through all of them. */
function goingOn(): Story {
  const promised: string[] = [];
  return {
    before,
    live: async (files) => {
      const journal = await Journal.open({ files, locks: FREE_LOCKS, clock: new ManualClock() }, FOLDER);
      for (const name of ["a", "b"]) {
        await journal.append({ epoch: 1, kind: "intent", name, facts: { text: name.repeat(150_000) } });
        promised.push(name);
      }
      await journal.close();
    },
    after: async (files) => {
      await append(files, ["later"], promised);
      const names: string[] = [];
      let head: string | undefined;
      const full = (await files.list(FOLDER))
        .map(({ name }) => name)
        .filter((name) => name.startsWith("journal-full-"));
      for (const name of [...full, JOURNAL_FILE]) {
        const file = path.join(FOLDER, name);
        const reading = await readJournal(files, file);
        assert.equal(reading?.tail.kind, "whole");
        assert.ok(
          head === undefined || (await files.readFile(file)).includes(`"previous":"${head}"`),
          "the chain holds",
        );
        head = reading?.head;
        names.push(...(reading?.records ?? []).map((record) => record.name));
      }
      for (const name of promised) assert.ok(names.includes(name), `${name} is in ${names.join()}`);
    },
  };
}

testPowerCuts("a full journal set aside", goingOn, []);

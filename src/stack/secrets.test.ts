import assert from "node:assert/strict";
import { chmod, readFile, stat, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { testStack } from "../../test/support/stacks.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import {
  makeSecrets,
  mayBeMade,
  missingSecrets,
  readSecrets,
  SECRET_NAMES,
  secretFile,
  unreadableSecrets,
} from "./secrets.ts";

const tools = { files: systemFiles, random: systemRandom };

test("each secret is made once, is like no other, and only its owner can read it", async () => {
  await withFolder(async (folder) => {
    const { place } = testStack({ stacksFolder: folder });
    await systemFiles.makeFolder(place.secrets);
    assert.deepEqual(await missingSecrets(systemFiles, place), SECRET_NAMES);
    await makeSecrets(tools, place, { owner: undefined });
    const made = await readSecrets(systemFiles, place);
    const lines = await Promise.all(SECRET_NAMES.map((name) => readFile(secretFile(place, name), "utf8")));
    assert.equal(new Set(lines).size, SECRET_NAMES.length);
    assert.ok(Object.values(made).every((secret) => lines.includes(`${secret}\n`)));
    for (const name of SECRET_NAMES) {
      assert.equal((await readFile(secretFile(place, name), "utf8")).length, 33);
      assert.equal((await stat(secretFile(place, name))).mode & 0o777, 0o600);
    }
    await makeSecrets(tools, place, { owner: undefined });
    assert.deepEqual(await readSecrets(systemFiles, place), made);
  });
});

test("a passphrase that somebody thought of is told from one of ours", async () => {
  await withFolder(async (folder) => {
    const { place } = testStack({ stacksFolder: folder });
    await systemFiles.makeFolder(place.secrets);
    await makeSecrets(tools, place, { owner: undefined });
    // One in 300 has no digit, and costs its owner what any other passphrase does.
    const made = Object.values(await readSecrets(systemFiles, place)).filter((each) => /[0-9]/.test(each));
    assert.ok(made.length > 3 && made.every(mayBeMade));
  });
  for (const thought of ["battery staple", "correct-horse-battery-staple-abc", "0".repeat(32), ""])
    assert.equal(mayBeMade(thought), false, thought);
});

test("a start that is cut short keeps the secrets it had made", async () => {
  await withFolder(async (folder) => {
    const { place } = testStack({ stacksFolder: folder });
    await systemFiles.makeFolder(place.secrets);
    await makeSecrets(tools, place, { owner: undefined });
    const before = await readSecrets(systemFiles, place);
    await systemFiles.remove(secretFile(place, "redis"));
    await makeSecrets(tools, place, { owner: undefined });
    const after = await readSecrets(systemFiles, place);
    assert.deepEqual({ ...after, redis: before.redis }, before);
    assert.notEqual(after.redis, before.redis);
  });
});

test("a file that holds no secret of ours is refused before it ends up in somebody's configuration, and is not shown", async () => {
  await withFolder(async (folder) => {
    const { place } = testStack({ stacksFolder: folder });
    await systemFiles.makeFolder(place.secrets);
    await makeSecrets(tools, place, { owner: undefined });
    const file = secretFile(place, "replication");
    await chmod(file, 0o600);
    for (const text of ["", "two words\n", "it's\n", `${"x".repeat(2_000)}\n`, "one\ntwo\n"]) {
      await writeFile(file, text);
      await assert.rejects(readSecrets(systemFiles, place), (error) => {
        assert(isLifeboatError(error, "stack.secret-unusable"));
        assert.equal(text.trim() !== "" && error.message.includes(text.trim()), false);
        return true;
      });
    }
    assert.equal(await readFile(file, "utf8"), "one\ntwo\n");
  });
});

test("a secret that an older stack has not, and that only the service reads, stops nobody else; any other one is named", async () => {
  await withFolder(async (folder) => {
    const { place } = testStack({ stacksFolder: folder });
    await systemFiles.makeFolder(place.secrets);
    await makeSecrets(tools, place, { owner: undefined });
    const before = await readSecrets(systemFiles, place);
    await systemFiles.remove(secretFile(place, "mcp"));
    assert.deepEqual(await missingSecrets(systemFiles, place), ["mcp"]);
    assert.deepEqual(await unreadableSecrets(systemFiles, place), []);
    assert.deepEqual(await readSecrets(systemFiles, place), before);
    await systemFiles.remove(secretFile(place, "backup"));
    await assert.rejects(readSecrets(systemFiles, place), (error) => {
      assert(isLifeboatError(error, "stack.secret-unusable"));
      assert.match(error.message, /secrets\/backup is not there$/);
      assert.match(error.remedy, /lifeboat up/);
      return true;
    });
  });
});

test("the secret of a vault that is there is not made anew, nor are others then", async () => {
  await withFolder(async (folder) => {
    const { place } = testStack({ stacksFolder: folder });
    await systemFiles.makeFolder(place.secrets);
    await assert.rejects(makeSecrets(tools, place, { owner: undefined, kept: ["vault-passphrase"] }), (error) => {
      assert(isLifeboatError(error, "stack.secret-unusable"));
      assert.match(error.message, /secrets\/vault-passphrase is not there/);
      assert.match(error.remedy, /recovery-key/);
      return true;
    });
    assert.deepEqual(await missingSecrets(systemFiles, place), SECRET_NAMES);
  });
});

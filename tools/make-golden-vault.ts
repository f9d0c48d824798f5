/**
 * Writes a golden vault: `node tools/make-golden-vault.ts test/golden/vault-2`.
 *
 * For a new version of the format, by hand, once. It refuses a folder that is there: a golden that was committed is never
 * made again, since what it shows is that later code reads what earlier code wrote. The recovery key that it prints
 * belongs into `src/vault/golden.test.ts`.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { makeGoldenVault } from "../test/golden/make-vault.ts";

const [folder] = process.argv.slice(2);
if (folder === undefined || existsSync(folder)) {
  console.error("usage: node tools/make-golden-vault.ts FOLDER, where FOLDER is not there yet");
  process.exit(2);
}
const { store, recoveryKey } = await makeGoldenVault();
for await (const { key } of store.list("")) {
  const file = path.join(folder, key);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, await store.get(key), { flag: "wx" });
}
console.log(`recovery key: ${recoveryKey}`);

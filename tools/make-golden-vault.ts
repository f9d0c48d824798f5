/**
 * Writes a golden vault: `node tools/make-golden-vault.ts whole test/golden/vault-2`, or `delta` for one with a delta, two data
 * keys and wraps of every kind.
 *
 * For a new version of the format, by hand, once. It refuses a folder that is there: a golden that was committed is never
 * made again, since what it shows is that later code reads what earlier code wrote. What it prints belongs into the tests
 * beside `src/vault/golden.test.ts`.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { makeGoldenDeltaVault } from "../test/golden/make-delta-vault.ts";
import { makeGoldenVault } from "../test/golden/make-vault.ts";

const makers = new Map([
  ["whole", makeGoldenVault],
  ["delta", makeGoldenDeltaVault],
]);
const [kind = "", folder] = process.argv.slice(2);
const make = makers.get(kind);
if (make === undefined || folder === undefined || existsSync(folder)) {
  console.error("usage: node tools/make-golden-vault.ts whole|delta FOLDER, where FOLDER is not there yet");
  process.exit(2);
}
const { store, ...secrets } = await make();
for await (const { key } of store.list("")) {
  const file = path.join(folder, key);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, await store.get(key), { flag: "wx" });
}
console.log(secrets);

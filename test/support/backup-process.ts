/**
 * A process that takes one backup into a vault on disk, to be killed by a test. Says the number of each effect on the vault
 * on a line of its own before it comes about.
 */
import { systemClock } from "../../src/platform/clock.ts";
import { systemFiles } from "../../src/platform/files.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { LocalServer, type ServerSetup } from "../../src/postgres/server.ts";
import { openDiskStore } from "../../src/store/disk/disk-store.ts";
import type { Store } from "../../src/store/store.ts";
import { openVault } from "../../src/vault/vault.ts";
import { takeTestBackup } from "./backups.ts";
import { PORTS, TestServer } from "./servers.ts";

/** What the process is told, as JSON, in its only argument. */
export type BackupOrder = { readonly setup: ServerSetup; readonly folder: string; readonly vaultFolder: string };

function telling(store: Store): Store {
  let effects = 0;
  const tell = <T>(work: () => T): T => {
    effects += 1;
    process.stdout.write(`${effects}\n`);
    return work();
  };
  return {
    name: store.name,
    put: (key, parts, options) => tell(() => store.put(key, parts, options)),
    get: (key, options) => tell(() => store.get(key, options)),
    getRange: (key, range, options) => tell(() => store.getRange(key, range, options)),
    head: (key, options) => tell(() => store.head(key, options)),
    list: (prefix, options) => tell(() => store.list(prefix, options)),
    delete: (key, options) => tell(() => store.delete(key, options)),
  };
}

async function main(order: BackupOrder): Promise<void> {
  const server = new TestServer(new LocalServer(PORTS, order.setup), order.folder, true);
  const store = await openDiskStore({ folder: order.vaultFolder, files: systemFiles, random: systemRandom });
  const tools = { store: telling(store), clock: systemClock, random: systemRandom };
  await takeTestBackup(server, await openVault(tools, { kind: "open" }, {}));
}

if (import.meta.main) await main(JSON.parse(process.argv[2] ?? ""));

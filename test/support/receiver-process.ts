/**
 * A receiver as a process of its own, to be killed: `node receiver-process.ts '<json>'`. Prints "streaming" when it is.
 */
import { systemClock } from "../../src/platform/clock.ts";
import { systemFiles } from "../../src/platform/files.ts";
import { systemLocks } from "../../src/platform/lock.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { currentUid } from "../../src/platform/run-as.ts";
import type { ConnectOptions } from "../../src/postgres/replication.ts";
import { openReplication } from "../../src/postgres/replication-connection.ts";
import { openDiskStore } from "../../src/store/disk/disk-store.ts";
import { openVault } from "../../src/vault/vault.ts";
import { addressUnder } from "../../src/wal/mandate.ts";
import { createReceiver } from "../../src/wal/receiver.ts";
import { governBySocket } from "../../src/witness/control.ts";

/** What the process is told. */
export type ReceiverProcessOptions = {
  readonly address: ConnectOptions;
  readonly storeFolder: string;
  readonly spoolFolder: string;
  readonly slot: string;
};

const options: ReceiverProcessOptions = JSON.parse(process.argv[2] ?? "");
const tools = { files: systemFiles, clock: systemClock, random: systemRandom };
const store = await openDiskStore({ folder: options.storeFolder, files: systemFiles, random: systemRandom });
const vault = await openVault({ store, clock: systemClock, random: systemRandom }, { kind: "open" }, {});
const receiver = createReceiver(
  {
    ...tools,
    vault,
    locks: systemLocks,
    connect: ({ mandate, signal }) => openReplication(addressUnder(mandate, options.address), { signal }),
    govern: (open) => governBySocket({ files: systemFiles, uid: currentUid() }, options.spoolFolder, open),
  },
  { spoolFolder: options.spoolFolder, slot: options.slot, pid: process.pid, statusIntervalMs: 100 },
);
await receiver.start({});
process.stdout.write("streaming\n");
await receiver.ended;

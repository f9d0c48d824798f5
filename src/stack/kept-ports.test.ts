import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { STACK_CHOICE, testStack } from "../../test/support/stacks.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import { formatDatabases } from "../pooler/databases-file.ts";
import type { SystemId, Timeline } from "../postgres/lsn.ts";
import { UNGOVERNED, writeMandate } from "../wal/mandate.ts";
import { refuseOtherPorts } from "./kept-ports.ts";
import { databasesFileOf } from "./pooler-config.ts";
import { recordPorts } from "./ports.ts";
import type { StackDescription, StackPorts } from "./stack.ts";

const TOOLS = { files: systemFiles, random: systemRandom };
const KEPT = 5432;

/** A stack whose primary listened on KEPT, as the one of these says that keeps it. */
async function withKept(keeps: "mandate" | "poolers", work: (stack: StackDescription) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const stack = testStack({ stacksFolder: folder });
    // Nobody keeps anything yet.
    await refuseOtherPorts(systemFiles, withPorts(stack, { db: 6001 }), "auto");
    await systemFiles.makeFolder(stack.place.spool);
    await systemFiles.makeFolder(path.dirname(databasesFileOf(stack)));
    const server = { host: "127.0.0.1", port: KEPT };
    if (keeps === "mandate") {
      const terms = {
        reign: 2,
        upstream: server,
        systemId: "7000000000000000001" as SystemId,
        timeline: 1 as Timeline,
      } as const;
      await writeMandate(TOOLS, stack.place.spool, { ...UNGOVERNED, ...terms, epoch: 2 });
    } else {
      const databases = [{ name: "catalog", database: "catalog", server }];
      await writeFile(databasesFileOf(stack), formatDatabases({ epoch: 3, databases }));
    }
    await work(stack);
  });
}

const withPorts = (stack: StackDescription, ports: Partial<StackPorts>): StackDescription => ({
  ...stack,
  ports: { ...STACK_CHOICE.ports, ...ports },
});

test("a stack that has had a daemon does not come up with another port of its primary, whoever keeps the old one", async () => {
  for (const keeps of ["mandate", "poolers"] as const) {
    await withKept(keeps, async (stack) => {
      const other = withPorts(stack, { db: 6001 });
      await assert.rejects(refuseOtherPorts(systemFiles, other, "described"), (error) => {
        assert(isLifeboatError(error, "stack.node-port-kept"));
        assert.match(error.remedy, /stack\.dbPort: 5432/);
        return true;
      });
      await refuseOtherPorts(systemFiles, stack, "described");
      // The replica's, and all others, may be others; after a failover db's is that.
      const rest = { front: 6002, mcp: 6003, pgbouncer: 6004, reads: 6005, redis: 6006 };
      await refuseOtherPorts(systemFiles, withPorts(stack, { ...rest, dbReplica: 6001 }), "described");
      const failedOver = { ...withPorts(stack, { db: 6001, dbReplica: KEPT }), primary: "db_replica" } as const;
      await refuseOtherPorts(systemFiles, failedOver, "described");
    });
  }
});

test("ports of such a stack are not chosen anew when their file was removed, and are kept while it is there", async () => {
  await withKept("mandate", async (stack) => {
    await assert.rejects(refuseOtherPorts(systemFiles, stack, "auto"), (error) =>
      isLifeboatError(error, "stack.node-port-kept"),
    );
    await recordPorts(TOOLS, stack.place.portsFile, stack.ports, {});
    await refuseOtherPorts(systemFiles, stack, "auto");
  });
});

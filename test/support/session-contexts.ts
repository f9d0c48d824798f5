/** What sessions of a receiver work with, in tests that need one part of it. */
import type { Clock } from "../../src/platform/clock.ts";
import { type Files, systemFiles } from "../../src/platform/files.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { LSN_NONE, type SystemId } from "../../src/postgres/lsn.ts";
import type { Vault } from "../../src/vault/vault.ts";
import type { SessionContext } from "../../src/wal/session-context.ts";
import type { Spool } from "../../src/wal/spool.ts";
import { Uploads } from "../../src/wal/uploads.ts";

/** A receiver's that nobody governs, and that was never connected. */
export function sessionContext(of: {
  readonly spool: Spool;
  readonly vault: Vault;
  readonly clock: Clock;
  readonly systemId: SystemId;
  readonly ended: AbortSignal;
  readonly files?: Files;
  readonly mayConfirm?: () => boolean;
}): SessionContext {
  const { spool, vault, clock, systemId, ended, files = systemFiles, mayConfirm = () => true } = of;
  const unbound = { upstream: undefined, systemId: undefined, timeline: undefined, switchLsn: undefined };
  return {
    spool,
    uploads: new Uploads({
      vault,
      clock,
      random: systemRandom,
      readFile: files.readFile,
      systemId: () => systemId,
      remove: async () => undefined,
    }),
    vault,
    clock,
    options: {
      slot: "lifeboat_vault",
      statusIntervalMs: 1000,
      serverTimeoutMs: 30_000,
      spoolBytesMax: 1024 ** 3,
      slotLifetime: "lasting",
      newSystem: false,
      delayMs: 0,
    },
    mandate: { reign: 0, ...unbound, ended, mayConfirm },
    gone: undefined,
    serverEnd: LSN_NONE,
    heardAt: undefined,
    told: LSN_NONE,
    confirmedAt: clock.monotonic(),
    streaming: () => undefined,
    walked: async () => undefined,
    lost: () => undefined,
    unreadable: async () => undefined,
  };
}

/**
 * Every error Lifeboat can raise, in one table.
 *
 * Nouns: a *code* (`concept.what-failed`) names one kind of failure for ever; its *kind* says whose turn it is:
 * `operator` (a mistake the reader can mend: message and remedy, no stack), `world` (a disk, a network, a server:
 * retried or reported) or `bug` (ours: stack, stop). Its *exit* is the process exit status when it ends a command.
 * Invariants: codes are unique; an exit status belongs to one meaning; every code has a row in docs/errors.md.
 */
import { backupErrors } from "./codes/backup.ts";
import { balancerErrors } from "./codes/balancer.ts";
import { cacheErrors } from "./codes/cache.ts";
import { catalogErrors } from "./codes/catalog.ts";
import { configErrors } from "./codes/config.ts";
import { daemonErrors } from "./codes/daemon.ts";
import { demoErrors } from "./codes/demo.ts";
import { durabilityErrors } from "./codes/durability.ts";
import { failoverErrors } from "./codes/failover.ts";
import { feedErrors } from "./codes/feed.ts";
import { journalErrors } from "./codes/journal.ts";
import { leaseErrors } from "./codes/lease.ts";
import { platformErrors } from "./codes/platform.ts";
import { poolerErrors } from "./codes/pooler.ts";
import { postgresErrors } from "./codes/postgres.ts";
import { probeErrors } from "./codes/probe.ts";
import { proofErrors } from "./codes/proof.ts";
import { restoreErrors } from "./codes/restore.ts";
import { retentionErrors } from "./codes/retention.ts";
import { scraperErrors } from "./codes/scraper.ts";
import { stackErrors } from "./codes/stack.ts";
import { storeErrors } from "./codes/store.ts";
import { vaultErrors } from "./codes/vault.ts";
import { walErrors } from "./codes/wal.ts";
import { witnessErrors } from "./codes/witness.ts";

/** The registry; each concept keeps its rows in `codes/`. */
export const ERROR_REGISTRY = {
  ...backupErrors,
  ...balancerErrors,
  ...cacheErrors,
  ...catalogErrors,
  ...configErrors,
  ...daemonErrors,
  ...demoErrors,
  ...failoverErrors,
  ...feedErrors,
  ...journalErrors,
  ...leaseErrors,
  ...durabilityErrors,
  ...failoverErrors,
  ...feedErrors,
  ...platformErrors,
  ...poolerErrors,
  ...postgresErrors,
  ...probeErrors,
  ...proofErrors,
  ...restoreErrors,
  ...retentionErrors,
  ...scraperErrors,
  ...stackErrors,
  ...storeErrors,
  ...vaultErrors,
  ...walErrors,
  ...witnessErrors,
} as const;

/** A code of the registry. */
export type ErrorCode = keyof typeof ERROR_REGISTRY;

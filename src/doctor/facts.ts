/** What doctor judges: facts as they were seen, each perhaps not seen, with the reason. */
import type { CollationVersion } from "../postgres/collations.ts";
import type { LogicalSlot } from "../postgres/logical-slots.ts";
import type { SlotsSeen } from "../postgres/slots.ts";
import type { OutsideTablespaces } from "../postgres/tablespaces.ts";
import type { CommitOverride } from "../postgres/waiting-commits.ts";
import type { ReceiverStatus } from "../wal/report.ts";

/** A fact, or why it could not be seen. */
export type Observed<T> =
  | { readonly kind: "seen"; readonly value: T }
  | { readonly kind: "unseen"; readonly why: string; readonly remedy: string };

/** The role we log in as. */
export type RoleFacts = {
  readonly superuser: boolean;
  readonly replication: boolean;
  /** Predefined roles whose rights it has. */
  readonly memberOf: readonly string[];
  /** May call pg_read_file(text), which a role of pg_read_server_files is not given by itself. */
  readonly mayReadFiles: boolean;
};

/** Facts of the server. */
export type ServerFacts = {
  /** An ordinary connection; the value is server_version_num. */
  readonly version: Observed<number>;
  /** A connection for physical replication; the value is the system identifier. */
  readonly replication: Observed<string>;
  /** By name, as pg_settings shows them; those the role may not see are missing. */
  readonly settings: Observed<ReadonlyMap<string, string>>;
  readonly walSendersUsed: Observed<number>;
  /** All, the receiver's among them. */
  readonly slots: Observed<SlotsSeen>;
  /** Roles and databases with a synchronous_commit of their own. */
  readonly commitOverrides: Observed<readonly CommitOverride[]>;
  /** Those of change data capture and subscriptions. */
  readonly logicalSlots: Observed<readonly LogicalSlot[]>;
  /** What it sorts by another version of its libraries than it was sorted by. */
  readonly collations: Observed<readonly CollationVersion[]>;
  readonly outsideTablespaces: Observed<OutsideTablespaces>;
  readonly role: Observed<RoleFacts>;
  /** How far the server's clock is ahead of ours, and how exactly that is known. */
  readonly clock: Observed<{ readonly aheadMs: number; readonly uncertainMs: number }>;
  readonly sameMachine: Observed<boolean>;
  /** WAL written in an hour, on average since its statistics began. */
  readonly walBytesPerHour: Observed<number>;
  /** Size of all databases. */
  readonly sizeBytes: Observed<number>;
};

/** Space of a file system. */
export type SpaceFacts = { readonly folder: string; readonly freeBytes: number; readonly device: number };

/** Facts of this machine. */
export type MachineFacts = {
  readonly vaultSpace: Observed<SpaceFacts>;
  readonly spoolSpace: Observed<SpaceFacts>;
  readonly sandboxSpace: Observed<SpaceFacts>;
  /** The newest backup; undefined in a vault without one. */
  readonly vault: Observed<{ readonly dataBytes: number; readonly endedAtMs: number } | undefined>;
  readonly receiver: Observed<{ readonly receiver: ReceiverStatus; readonly reportAgeMs: number | undefined }>;
  /** Folder of PostgreSQL's programs of the server's major. */
  readonly programs: Observed<string>;
};

/** What the configuration asks for. */
export type DoctorPolicy = {
  readonly role: string;
  readonly database: string;
  readonly slot: string;
  readonly applicationName: string;
  /** The receiver is a stack's: `lifeboat up` starts it. */
  readonly isOfStack: boolean;
};

/** Everything doctor saw. */
export type DoctorFacts = {
  readonly server: ServerFacts;
  readonly machine: MachineFacts;
  readonly policy: DoctorPolicy;
};

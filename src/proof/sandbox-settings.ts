/**
 * Settings that make a copy of a cluster harmless, and let it start where its own machine's things are missing.
 *
 * They go on the server's command line, where they win over every file of the cluster.
 * Source: PostgreSQL manual, "Server Configuration".
 */
import type { Settings } from "../postgres/cluster.ts";
import { type ControlFile, capacitySettings } from "../postgres/control-file.ts";

/** Enough to replay and to check with; the cluster's own may be more than this machine has. */
const SHARED_BUFFERS = "256MB";

/** The settings of a sandbox. Paths are absolute. */
export function sandboxSettings(sandbox: {
  readonly capacity: ControlFile["capacity"];
  readonly accessFile: string;
  readonly identFile: string;
}): Settings {
  const { capacity } = sandbox;
  return {
    // A copy reaches nobody, and nobody waits for it (safety rules B10 and B12).
    archive_mode: false,
    archive_command: "",
    archive_library: "",
    primary_conninfo: "",
    primary_slot_name: "",
    synchronous_standby_names: "",
    max_logical_replication_workers: 0,
    // What else would act by itself, or needs a library of the cluster's machine.
    shared_preload_libraries: "",
    session_preload_libraries: "",
    local_preload_libraries: "",
    autovacuum: false,
    session_replication_role: "replica",
    default_transaction_read_only: false,
    // Less than the cluster had, and recovery refuses; more than this machine has, and the start fails.
    ...capacitySettings(capacity),
    shared_buffers: SHARED_BUFFERS,
    huge_pages: false,
    // A killed server leaves nothing in /dev/shm.
    dynamic_shared_memory_type: "mmap",
    // Paths and identities of the other machine.
    hba_file: sandbox.accessFile,
    ident_file: sandbox.identFile,
    external_pid_file: "",
    unix_socket_group: "",
    unix_socket_permissions: "0700",
    ssl: false,
    logging_collector: false,
    log_destination: "stderr",
    temp_tablespaces: "",
    // What the server says is read (server-end.ts).
    lc_messages: "C",
  };
}

/**
 * What goes to the end of postgresql.auto.conf: locales that only the other machine may have. A server does not start with a
 * setting that it cannot take in any of its files, also where the command line has another; of two in its files it looks at the
 * last one only (src/backend/utils/misc/guc-file.l of PostgreSQL).
 */
export const SANDBOX_LOCALES = [
  "",
  ...["messages", "monetary", "numeric", "time"].map((of) => `lc_${of} = 'C'`),
  "",
].join("\n");

/** Lets the server's own user in as anybody: the socket lies in a folder that nobody else can enter. */
export const SANDBOX_ACCESS = "local all all trust\n";

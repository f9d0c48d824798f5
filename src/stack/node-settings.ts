/**
 * How the nodes of a stack are configured. Pure.
 *
 * Both nodes have the same settings, so that either can be the primary; what differs is the port, and that the replica's
 * postgresql.auto.conf says whom it follows. What changes while the stack runs (synchronous_standby_names, and whom a node
 * follows) is set with ALTER SYSTEM and wins over these.
 * Source: PostgreSQL manual, "Server Configuration", "The pg_hba.conf File", "Database Connection Control Functions".
 */
import path from "node:path";
import { HELD_NAMES } from "../durability/names.ts";
import type { Settings } from "../postgres/cluster.ts";
import { ROLES, type StackDescription } from "./stack.ts";

/** A component that is a PostgreSQL server. */
export type NodeName = "db" | "db_replica";

/** The port of a node. */
export function nodePort(stack: StackDescription, node: NodeName): number {
  return node === "db" ? stack.ports.db : stack.ports.dbReplica;
}

const KIB = 1_024;

/** The settings of a node, for `lifeboat.conf` in its data folder. */
export function nodeSettings(stack: StackDescription, node: NodeName): Settings {
  return {
    listen_addresses: "127.0.0.1",
    port: nodePort(stack, node),
    unix_socket_directories: stack.place.sockets,
    // Whoever may enter the folder still needs a password.
    unix_socket_permissions: "0700",
    max_connections: stack.maxConnections,
    shared_buffers: `${Math.ceil(stack.sharedBuffers / KIB)}kB`,
    password_encryption: "scram-sha-256",
    wal_level: "replica",
    // Replica, receiver and a backup's receiver, each twice while one takes the place of another, and backups.
    max_wal_senders: 10,
    max_replication_slots: 10,
    // A confirmer that stays away must not fill the primary's disk; one that comes back later is made anew.
    max_slot_wal_keep_size: `${Math.ceil(stack.slotWalMax / KIB)}kB`,
    // Two seconds of silence are a failure: a standby then looks elsewhere, and nobody believes a view of the past.
    wal_receiver_timeout: "2s",
    wal_receiver_status_interval: "1s",
    // The time lost at each look into the archive, and once in a promotion; the default of 5 s is most of our budget.
    wal_retrieve_retry_interval: "100ms",
    // How long a fast stop can hang on a confirmer that no longer answers (safety rule B13).
    wal_sender_timeout: "5s",
    hot_standby: true,
    // Off: the slot of a replica that is away would keep its old horizon, and the primary could vacuum nothing meanwhile.
    // Reads on the replica may be cancelled instead, after they held up replay for this long.
    hot_standby_feedback: false,
    max_standby_streaming_delay: "5s",
    max_standby_archive_delay: "5s",
    // A client or a pooler whose machine is gone is noticed in 15 s, not in two hours.
    tcp_keepalives_idle: "5s",
    tcp_keepalives_interval: "2s",
    tcp_keepalives_count: 5,
    tcp_user_timeout: "15s",
    log_line_prefix: "%m [%p] %q%u@%d %a ",
    log_min_messages: "warning",
    // Who waits for a lock for a second, for whom, and what that one does: it cannot be asked afterwards.
    log_lock_waits: true,
  };
}

/**
 * Who may log in to a node, by the lines of pg_hba.conf. The superuser only over the Unix socket, in a folder that is closed
 * to others; everybody with a password, over TCP from this machine alone.
 */
export function nodeAccess(stack: StackDescription): readonly string[] {
  const { superuser, replication, lifeboat, check } = ROLES;
  const local = "127.0.0.1/32";
  return [
    "# TYPE DATABASE USER ADDRESS METHOD",
    "local all all scram-sha-256",
    `host all ${superuser} ${local} reject`,
    `host replication ${replication} ${local} scram-sha-256`,
    `host replication ${lifeboat} ${local} scram-sha-256`,
    `host postgres ${lifeboat} ${local} scram-sha-256`,
    `host all ${check} ${local} scram-sha-256`,
    `host "${stack.database}" all ${local} scram-sha-256`,
  ];
}

/** The password file of a node that follows another. Source: PostgreSQL manual, "The Password File". */
export function passwordFileOf(stack: StackDescription, node: NodeName): string {
  return path.join(stack.place.configOf(node), "pgpass");
}

/** Its content: for streaming, and for the database where a standby reads which logical slots it copies. */
export function passwordFileText(password: string): string {
  return `*:*:*:${ROLES.replication}:${password}\n`;
}

/**
 * How a node reaches the one that it follows: primary_conninfo and primary_slot_name. Its slot there has its name. And what its
 * commits wait for should it be promoted: nobody that there is, until a failover names who confirms to it.
 */
export function replicaConnection(
  stack: StackDescription,
  { node, upstream }: { readonly node: NodeName; readonly upstream: NodeName },
): { readonly conninfo: string; readonly slot: string; readonly names: string } {
  const parts = {
    host: "127.0.0.1",
    port: nodePort(stack, upstream),
    user: ROLES.replication,
    // For whoever has a standby copy logical slots (sync_replication_slots, from 17 on); streaming asks for none.
    dbname: stack.database,
    // Not the password: every superuser can read this setting, and logs may show it.
    passfile: passwordFileOf(stack, node),
    application_name: node,
    connect_timeout: 2,
    keepalives_idle: 5,
    keepalives_interval: 2,
    keepalives_count: 5,
  };
  const conninfo = Object.entries(parts)
    .map(([name, value]) => `${name}=${conninfoValue(String(value))}`)
    .join(" ");
  return { conninfo, slot: node, names: HELD_NAMES };
}

/** Source: PostgreSQL manual, "Keyword/Value Connection Strings". */
function conninfoValue(text: string): string {
  return /^[\w./:-]+$/.test(text) ? text : `'${text.replace(/[\\']/g, "\\$&")}'`;
}

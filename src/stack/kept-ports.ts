/**
 * Ports that a stack cannot give up any more. Changes nothing.
 *
 * Once a daemon has said who is the primary, others know that node by its port: the receiver by its mandate, the poolers by the file
 * that says where they lead, the replica by its primary_conninfo. A start with other ports would have each of them wait for a server
 * that is nowhere, or take one node for the other. The replica's port nobody keeps.
 */
import { LifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import { readIfThere } from "../platform/read-if-there.ts";
import { parseDatabases } from "../pooler/databases-file.ts";
import { readMandate } from "../wal/mandate.ts";
import { databasesFileOf } from "./pooler-config.ts";
import { type PortChoice, readPorts } from "./ports.ts";
import type { StackDescription } from "./stack.ts";

/** A port that somebody keeps, and who. */
type Kept = { readonly port: number; readonly by: string };

/**
 * Rejects with `stack.node-port-kept` where a stack is to come up with ports of which neither node's is the one that is kept, or with ports
 * that are still to be chosen.
 */
export async function refuseOtherPorts(files: Files, stack: StackDescription, choice: PortChoice): Promise<void> {
  const { db, dbReplica } = stack.ports;
  const isToChoose = choice === "auto" && (await readPorts(files, stack.place.portsFile)) === undefined;
  const kept = await keptPorts(files, stack);
  const strange = kept.find(({ port }) => isToChoose || (port !== db && port !== dbReplica));
  if (strange === undefined) return;
  const { port, by } = strange;
  const setting = stack.primary === "db" ? "stack.dbPort" : "stack.replicaPort";
  const wanted = isToChoose ? "free ports are to be taken" : `db is to listen on ${db} and db_replica on ${dbReplica}`;
  throw new LifeboatError("stack.node-port-kept", {
    message: `${by} leads to port ${port}, where the primary of stack ${stack.name} listened, and ${wanted}`,
    remedy: `Nothing was started. Describe that port as ${stack.primary}'s (${setting}: ${port}), or put it into ${stack.place.portsFile}. The port of a node can be changed while it is the replica.`,
  });
}

async function keptPorts(files: Files, stack: StackDescription): Promise<readonly Kept[]> {
  const kept: Kept[] = [];
  const mandate = await readMandate(files, stack.place.spool);
  if (mandate.kind === "following" && mandate.upstream !== undefined) {
    kept.push({ port: mandate.upstream.port, by: "the receiver's mandate" });
  }
  const file = databasesFileOf(stack);
  const text = (await readIfThere(files, file))?.toString("utf8") ?? "";
  // Before an epoch has acted it is written anew.
  const { epoch, databases } = parseDatabases(text) ?? { epoch: 0, databases: [] };
  if (epoch > 0) kept.push(...databases.map(({ server }) => ({ port: server.port, by: file })));
  return kept;
}

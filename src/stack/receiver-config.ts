/** The configuration of the stack's receiver and of every other Lifeboat command about the stack: a lifeboat.yaml. Pure. */
import path from "node:path";
import { instancesOf, poolerSocketFolder } from "./instances.ts";
import { databasesFileOf } from "./pooler-config.ts";
import { secretFile } from "./secrets.ts";
import { CONFIRMERS, ROLES, type StackDescription } from "./stack.ts";

/** The name of the file in the folder of the receiver's configuration. */
export const LIFEBOAT_CONFIG = "lifeboat.yaml";

/** Where it lies. */
export function lifeboatConfigFile({ place }: StackDescription): string {
  return path.join(place.configOf("receiver"), LIFEBOAT_CONFIG);
}

/** What of the file the receiver itself reads: all but who else is told of. */
export function receiverReads(text: string): string {
  return text.split(/^pooler:$/m, 1).join();
}

/** One pooler is reached as clients reach it; of several, which share their port, each by its own socket. */
function consolesOf(stack: StackDescription): string {
  const { poolers, ports } = stack;
  if (poolers === 1) return `127.0.0.1:${ports.pgbouncer}`;
  const sockets = instancesOf(stack, "pgbouncer").map((name) => poolerSocketFolder(stack, name));
  return JSON.stringify(sockets.map((folder) => `${folder}:${ports.pgbouncer}`).join(","));
}

/** What it says of the server, the vault and the receiver of the stack. */
export function protectedBy({ place, ports }: Pick<StackDescription, "place" | "ports">) {
  return {
    server: { host: "127.0.0.1", port: ports.db, user: ROLES.lifeboat, passwordFile: secretFile(place, "backup") },
    vault: { path: place.vault, passphraseFile: secretFile(place, "vault-passphrase") },
    folders: { state: place.folder, spool: place.spool },
    receiver: { slot: CONFIRMERS.receiver, applicationName: CONFIRMERS.receiver },
  };
}

/** Its text. It names the secrets' files and holds no secret. */
export function renderLifeboatConfig(stack: StackDescription): string {
  const { server, vault, folders, receiver } = protectedBy(stack);
  // Strings are written as JSON, which YAML reads alike, whatever a path holds.
  return `# Written by lifeboat up; changes made here are lost.
# Also for other commands about this stack: lifeboat --config <this file> backup
server:
  host: ${server.host}
  port: ${server.port}
  user: ${server.user}
  passwordFile: ${JSON.stringify(server.passwordFile)}
vault:
  path: ${JSON.stringify(vault.path)}
  passphraseFile: ${JSON.stringify(vault.passphraseFile)}
folders:
  state: ${JSON.stringify(folders.state)}
  spool: ${JSON.stringify(folders.spool)}
receiver:
  slot: ${receiver.slot}
  applicationName: ${receiver.applicationName}
  statusInterval: 1s
${poolerSection(stack)}`;
}

/** The configuration of the poolers' watchdog: it opens no vault. */
export function renderWatchConfig(stack: StackDescription): string {
  return `# Written by lifeboat up; changes made here are lost.\n${poolerSection(stack)}`;
}

function poolerSection(stack: StackDescription): string {
  return `pooler:
  consoles: ${consolesOf(stack)}
  passwordFile: ${JSON.stringify(secretFile(stack.place, "pooler-admin"))}
  databasesFile: ${JSON.stringify(databasesFileOf(stack))}
`;
}

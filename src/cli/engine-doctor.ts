/** What `doctor` looks at on this machine. */
import path from "node:path";
import { diagnose } from "../doctor/decide.ts";
import type { DoctorPolicy, MachineFacts, Observed, ServerFacts, SpaceFacts } from "../doctor/facts.ts";
import { observe, observeServer } from "../doctor/observe-server.ts";
import { isLifeboatError } from "../errors/error.ts";
import { findInstallation, MAJORS } from "../postgres/installation.ts";
import type { ConnectOptions } from "../postgres/replication.ts";
import { majorOf } from "../postgres/server-version.ts";
import { listBackups } from "../vault/backups.ts";
import { newestOf } from "../vault/dated-ahead.ts";
import { nameInReign, readMandate } from "../wal/mandate.ts";
import { openConfiguredVault, serverConnection } from "./compose.ts";
import type { Diagnose } from "./doctor.ts";
import { MACHINE, serverUserOf, uniqueName } from "./engine-machine.ts";
import { meantServer } from "./engine-server.ts";
import { isOfStack } from "./engine-stack.ts";
import { lookAtReceiver } from "./engine-wal.ts";
import { ofMeantStack } from "./meant-stack.ts";

/** Looks at server and machine, and judges. */
export const diagnoseConfigured: Diagnose = async (asked) => {
  const call = await ofMeantStack(asked);
  const { config, session } = call;
  // A receiver that is governed confirms under another name than the configured one.
  const mandate = await observe(() => readMandate(MACHINE.files, config.folders.spool));
  const reign = mandate.kind === "seen" && mandate.value.kind === "following" ? mandate.value.reign : 0;
  const policy: DoctorPolicy = {
    role: config.server.user,
    database: config.server.database,
    slot: config.receiver.slot,
    applicationName: nameInReign(config.receiver.applicationName, reign),
    isOfStack: await isOfStack(config),
  };
  const address = await meantAddress(call);
  const server = await observeServer({ clock: session.clock }, address, { signal: session.signal });
  return diagnose({ server, machine: await observeMachine(call, server), policy });
};

/** A doctor is asked when things are unsettled, too: then it looks at what is configured, and says so. */
async function meantAddress(call: Parameters<Diagnose>[0]): Promise<ConnectOptions> {
  try {
    return (await meantServer(call, "lifeboat_doctor")).address;
  } catch (error) {
    if (!isLifeboatError(error, "stack.primary-unsettled")) throw error;
    const { host, port } = call.config.server;
    call.session.notice(`warning: ${error.message}. Looked at is ${host}:${port}, as configured.`);
    return await serverConnection(call, "lifeboat_doctor");
  }
}

async function observeMachine(call: Parameters<Diagnose>[0], server: ServerFacts): Promise<MachineFacts> {
  const { config, session } = call;
  const vault = await observe(async () => {
    const { backups } = await listBackups(await openConfiguredVault(call, "read"), {}, { signal: session.signal });
    const newest = newestOf(backups, session.clock.now());
    if (newest === undefined) return undefined;
    return { dataBytes: newest.dataBytes, endedAtMs: Date.parse(newest.endedAt) };
  });
  return {
    vault,
    vaultSpace: await observe(() => spaceOf(config.vault.path)),
    spoolSpace: await observe(() => spaceOf(config.folders.spool)),
    sandboxSpace: await observe(() => spaceOf(config.folders.sandbox)),
    receiver: await observe(() => lookAtReceiver(call)),
    programs: await programsOf(call, server),
  };
}

/** Space where a folder is, or would be made. */
async function spaceOf(folder: string): Promise<SpaceFacts> {
  let there = folder;
  while ((await MACHINE.files.stat(there)) === undefined && there !== path.dirname(there)) there = path.dirname(there);
  return { folder, ...(await MACHINE.files.space(there)) };
}

async function programsOf(call: Parameters<Diagnose>[0], server: ServerFacts): Promise<Observed<string>> {
  const { config, session } = call;
  if (server.version.kind === "unseen") return { ...server.version, why: "the server's version is not known" };
  const major = MAJORS.find((each) => server.version.kind === "seen" && each === majorOf(server.version.value));
  const { binDir, runAs } = config.postgres;
  if (major === undefined) {
    return {
      kind: "unseen",
      why: "no programs are known for the server's version",
      remedy: "Use PostgreSQL 15 to 18.",
    };
  }
  return await observe(async () => {
    const user = await serverUserOf(runAs, session.signal);
    const wanted = binDir === undefined ? { major } : { binFolder: binDir };
    const found = await findInstallation(MACHINE, { wanted, user, unique: uniqueName(), signal: session.signal });
    return found.binFolder;
  });
}

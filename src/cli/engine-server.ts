/** How to reach the server that a command means: of a stack that Lifeboat runs, its primary now. */
import path from "node:path";
import type { Config } from "../config/schema.ts";
import type { ConnectOptions } from "../postgres/replication.ts";
import { primaryUnsettled, protectedServer, readableRoles } from "../stack/protected-server.ts";
import { type MandateTerms, readMandate } from "../wal/mandate.ts";
import { serverConnection } from "./compose.ts";
import { MACHINE } from "./engine-machine.ts";
import type { Session } from "./verb.ts";

type Call = { readonly config: Config; readonly session: Session };

/** An address, and what the server there must be: checkProtected. */
export type MeantServer = { readonly address: ConnectOptions; readonly terms: MandateTerms | undefined };

/** Who is meant. Rejects with `stack.primary-unsettled`, or as reading the mandate and the record do. */
export async function meantServer(call: Call, applicationName: string): Promise<MeantServer> {
  const { config, session } = call;
  const { host, port } = config.server;
  const meant = protectedServer({
    configured: { host, port },
    chosen: await isChosen(session),
    mandate: await readMandate(MACHINE.files, config.folders.spool),
    record: await readableRoles(MACHINE.files, path.join(config.folders.state, "controller")),
  });
  if (meant.kind === "unsettled") throw primaryUnsettled(meant.why);
  return { address: { ...(await serverConnection(call, applicationName)), ...meant.at }, terms: meant.terms };
}

/** A flag or a variable is for this call; what a file says was said before anything happened. */
async function isChosen(session: Session): Promise<boolean> {
  const { rows } = await session.settings();
  const ofAddress = rows.filter(({ path: name }) => name === "server.host" || name === "server.port");
  return ofAddress.some(({ source }) => source.kind === "flag" || source.kind === "environment");
}

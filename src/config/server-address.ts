/** What the configuration says about reaching the server, with everything implied spelt out. */
import type { Config } from "./schema.ts";

/** How a connection is encrypted. */
export type TlsChoice =
  | { readonly mode: "disable" | "require" }
  | { readonly mode: "verify-full"; readonly caFile: string | undefined };

const THIS_MACHINE = ["localhost", "127.0.0.1", "::1"];

/** The encryption of a connection: as configured, else none to this machine and verify-full to any other. */
export function tlsOf(server: Pick<Config["server"], "host" | "tls" | "caFile">): TlsChoice {
  // A Unix socket has no TLS, whatever is configured for the rest.
  if (server.host.startsWith("/")) return { mode: "disable" };
  const mode = server.tls ?? (THIS_MACHINE.includes(server.host) ? "disable" : "verify-full");
  return mode === "verify-full" ? { mode, caFile: server.caFile } : { mode };
}

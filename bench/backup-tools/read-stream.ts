/** Reads a base backup, as Lifeboat asks for it, and throws it away: `node read-stream.ts SOCKET_FOLDER PORT USER`. */
import { openReplication } from "../../src/postgres/replication-connection.ts";

const CONNECT_TIMEOUT_MS = 10_000;

const [host = "", port = "", user = ""] = process.argv.slice(2);
const connection = await openReplication(
  { host, port: Number(port), user, applicationName: "bench", connectTimeoutMs: CONNECT_TIMEOUT_MS },
  {},
);
let streamBytes = 0;
try {
  await connection.baseBackup(
    { label: "bench", checkpoint: "fast", waitForArchive: false, manifestChecksums: "none" },
    {
      begin: () => {},
      archive: () => {},
      data: (view) => {
        streamBytes += view.byteLength;
      },
      manifest: () => {},
    },
    {},
  );
} finally {
  await connection.close();
}
console.log(`${streamBytes} bytes read and thrown away`);

/** WAL, segment by segment. */
import type { TestServer } from "./servers.ts";

/** Has a server write something into each of the next `count` segments. */
export async function writeSegments(server: TestServer, count: number): Promise<void> {
  for (let done = 0; done < count; done += 1) {
    await server.query("SELECT pg_logical_emit_message(false, 'x', repeat('x', 1000))");
    await server.query("SELECT pg_switch_wal()");
  }
}

/** Where our own programs lie, which are started in processes of their own. */
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { ProgramPaths } from "../demo/receiver.ts";

/** How this program is started again. In a clone the sources run as they are; in the npm package everything is bundled into dist/. */
export function programPaths(): ProgramPaths & {
  readonly supervisor: string;
  readonly installer: string;
  readonly service: { readonly api: string; readonly schema: string; readonly mcp: string; readonly scraper: string };
} {
  const here = fileURLToPath(import.meta.url);
  const beside = (name: string) => path.join(path.dirname(here), name);
  const sources = here.endsWith(".ts");
  return {
    node: process.execPath,
    nodeArguments: ["--disable-warning=ExperimentalWarning"],
    cli: beside(sources ? "main.ts" : "lifeboat.js"),
    probe: beside(sources ? "../probe/main.ts" : "probe.js"),
    // Lies beside the launcher in both.
    installer: beside(sources ? "../../bin/install-programs" : "../bin/install-programs"),
    supervisor: beside(sources ? "../platform/local/main.ts" : "supervisor.js"),
    service: {
      api: beside(sources ? "../../catalog/api/main.ts" : "catalog/api.js"),
      mcp: beside(sources ? "../../catalog/mcp/main.ts" : "catalog/mcp.js"),
      scraper: beside(sources ? "../../catalog/scraper/main.ts" : "catalog/scraper.js"),
      schema: beside(sources ? "../../catalog/schema/main.ts" : "catalog/schema.js"),
    },
    command: sources ? beside("../../bin/lifeboat") : "lifeboat",
  };
}

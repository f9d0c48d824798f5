/** The programs that tests start: bundled, as npm installs them, where the runner has built them, else the sources. */
import path from "node:path";

const ROOT = path.resolve(import.meta.dirname, "../..");
const BUILT = process.env["LIFEBOAT_TEST_PACKAGE"];

const program = (built: string, source: string): string =>
  BUILT === undefined ? path.join(ROOT, "src", source) : path.join(BUILT, built);

/** The files of the programs. */
export const PROGRAMS = {
  lifeboat: program("lifeboat.js", "cli/main.ts"),
  supervisor: program("supervisor.js", "platform/local/main.ts"),
  probe: program("probe.js", "probe/main.ts"),
};

/** The files of the service's programs. */
export const SERVICE_PROGRAMS = {
  api: serviceProgram("api"),
  mcp: serviceProgram("mcp"),
  scraper: serviceProgram("scraper"),
  schema: serviceProgram("schema"),
};

function serviceProgram(name: string): string {
  return BUILT === undefined ? path.join(ROOT, "catalog", name, "main.ts") : path.join(BUILT, "catalog", `${name}.js`);
}

/** What Node.js is given before a program's file. */
export const NODE_OPTIONS = ["--disable-warning=ExperimentalWarning"];

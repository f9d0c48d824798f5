/** Which packages a module loads, by itself or by what it imports; imports within functions are left out. */
import { readFile } from "node:fs/promises";

const IMPORT = /^(?:import|export)(?! type)[^;]*? from "([^"]+)"/gm;

/** Their names, sorted. Node's own modules are none. */
export async function packagesLoadedBy(entry: URL): Promise<readonly string[]> {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const visit = async (file: URL): Promise<void> => {
    if (seen.has(file.pathname)) return;
    seen.add(file.pathname);
    for (const [, name = ""] of (await readFile(file, "utf8")).matchAll(IMPORT)) {
      if (name.startsWith(".")) await visit(new URL(name, file));
      else if (!name.startsWith("node:")) packages.add(name);
    }
  };
  await visit(entry);
  return [...packages].sort();
}

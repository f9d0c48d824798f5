/** Loads test files one after another: `node load-files.ts FILE...`, paths as from the current folder. */
import path from "node:path";
import { pathToFileURL } from "node:url";

for (const file of process.argv.slice(2)) await import(pathToFileURL(path.resolve(file)).href);

/**
 * Writes every generated file: docs/errors.md, docs/reference.md and the overrides of .oxlintrc.json. Tests compare them
 * with their source.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { VERBS } from "../src/cli/verbs.ts";
import { ERROR_REGISTRY } from "../src/errors/registry.ts";
import { errorsPage } from "./errors-doc.ts";
import { referencePage } from "./reference-doc.ts";
import { lintOverrides } from "./tidy/layers.ts";

const root = path.resolve(import.meta.dirname, "..");

const lintFile = path.join(root, ".oxlintrc.json");
const lint: object = JSON.parse(readFileSync(lintFile, "utf8"));
writeFileSync(lintFile, `${JSON.stringify({ ...lint, overrides: lintOverrides() }, null, 2)}\n`);
execFileSync(path.join(root, "node_modules/.bin/biome"), ["format", "--write", "--log-level=error", lintFile]);
writeFileSync(path.join(root, "docs/errors.md"), errorsPage(ERROR_REGISTRY));
writeFileSync(path.join(root, "docs/reference.md"), referencePage(VERBS));

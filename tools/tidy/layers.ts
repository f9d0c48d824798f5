/**
 * Which folder may import which: programs -> concepts -> vault -> store, postgres -> platform -> errors.
 *
 * The table is the source; `npm run generate` writes it into .oxlintrc.json, so that editors show a breach at once.
 */
import { filesMatching, type Rule, type Violation } from "./tree.ts";

const GROUND = ["errors", "units"] as const;
const DRIVERS = [...GROUND, "platform"] as const;
const CONCEPTS = ["backup", "wal", "restore", "proof", "retention"] as const;
const BELOW_CONCEPTS = [...DRIVERS, "store", "postgres", "vault"] as const;

/** What each folder of `src` may import beside itself. A concept takes typed options and never imports `config`. */
export const LAYERS: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  standalone: [],
  wares: ["errors", "platform"],
  units: ["errors"],
  platform: GROUND,
  store: DRIVERS,
  postgres: DRIVERS,
  vault: [...DRIVERS, "store", "postgres"],
  backup: [...BELOW_CONCEPTS, ...CONCEPTS],
  wal: [...BELOW_CONCEPTS, ...CONCEPTS],
  restore: [...BELOW_CONCEPTS, ...CONCEPTS],
  proof: [...BELOW_CONCEPTS, ...CONCEPTS],
  retention: [...BELOW_CONCEPTS, ...CONCEPTS],
  witness: [...BELOW_CONCEPTS, "wal", "failover"],
  config: DRIVERS,
  durability: [...DRIVERS, "postgres"],
  replication: [...DRIVERS, "postgres", "durability"],
  doctor: [...BELOW_CONCEPTS, "wal"],
  status: [...BELOW_CONCEPTS, "wal"],
  failover: [...DRIVERS, "postgres", "durability", "pooler"],
  node: [...DRIVERS, "postgres", "failover"],
  balancer: DRIVERS,
  cache: DRIVERS,
  pooler: [...DRIVERS, "postgres"],
  lease: DRIVERS,
  journal: [...DRIVERS, "postgres"],
  probe: [...DRIVERS, "postgres", "pooler"],
  stack: [...BELOW_CONCEPTS, ...CONCEPTS, "balancer", "cache", "durability", "replication", "pooler", "lease"],
  daemon: [
    ...BELOW_CONCEPTS,
    ...CONCEPTS,
    "durability",
    "failover",
    "journal",
    "lease",
    "node",
    "pooler",
    "stack",
    "witness",
  ],
  demo: [...BELOW_CONCEPTS, ...CONCEPTS, "config", "probe", "wares"],
  cli: [
    ...BELOW_CONCEPTS,
    ...CONCEPTS,
    "config",
    "demo",
    "doctor",
    "durability",
    "replication",
    "status",
    "stack",
    "witness",
    "probe",
    "pooler",
    "daemon",
    "failover",
    "journal",
  ],
};

/** What a folder of the service may import of `src`: what any program needs, and made-up wares. */
const SERVICE_GROUND = [...DRIVERS, "wares"];

/**
 * What each folder of `catalog` may import of the others, beside SERVICE_GROUND. The service is a program that is protected,
 * not a part of what protects: nothing in `src` imports it, and programs of it do not import each other.
 */
export const SERVICE_LAYERS: Readonly<Record<string, readonly string[]>> = {
  settings: [],
  metrics: [],
  database: ["settings"],
  schema: ["database", "settings"],
  ingest: ["database"],
  scraper: ["cache", "database", "ingest", "metrics", "schema", "settings"],
  mcp: ["keys", "metrics", "products", "settings"],
  cache: ["settings"],
  keys: ["cache", "database"],
  products: ["ingest"],
  search: ["database", "products"],
  api: ["cache", "database", "ingest", "keys", "metrics", "products", "schema", "search", "settings"],
};

/** One override of .oxlintrc.json. */
export type LintOverride = {
  readonly files: readonly string[];
  readonly excludeFiles?: readonly string[];
  readonly rules: Readonly<Record<string, unknown>>;
};

/** The overrides that say the table above, and what tests and tools are free of. */
export function lintOverrides(): readonly LintOverride[] {
  const free: readonly LintOverride[] = [
    { files: ["tools/**", "test/**", "bench/**", "**/main.ts"], rules: { "no-console": "off" } },
    {
      // What a test reads back it compares at once: parsing it first would test the parser.
      files: ["**/*.test.ts", "test/**", "**/conformance/**"],
      rules: {
        "typescript/no-unsafe-argument": "off",
        "typescript/no-unsafe-call": "off",
        "typescript/no-unsafe-member-access": "off",
        "typescript/no-unsafe-return": "off",
        "typescript/only-throw-error": "off",
        "typescript/prefer-promise-reject-errors": "off",
      },
    },
    { files: ["tools/test/reporter.ts"], rules: { "import/no-default-export": "off" } },
  ];
  return [
    ...Object.entries(LAYERS).map(([folder, allowed]) => layerOverride(folder, allowed)),
    ...Object.entries(SERVICE_LAYERS).map(([folder, allowed]) => serviceOverride(folder, allowed)),
    ...free,
  ];
}

function layerOverride(folder: string, allowed: readonly string[]): LintOverride {
  const banned = Object.keys(LAYERS).filter((other) => other !== folder && !allowed.includes(other));
  const message = `${folder} may import ${["itself", ...allowed].join(", ")}`;
  const patterns: object[] = [{ regex: `^(\\.\\./)+(${[...banned, "catalog"].join("|")})/`, message }];
  if (folder === "vault") {
    const message = "vault talks to no server: of postgres it may import lsn.ts and control-file.ts";
    patterns.push({ group: ["**/postgres/**", "!**/postgres/lsn.ts", "!**/postgres/control-file.ts"], message });
  }
  const rules = { "no-restricted-imports": ["error", { patterns }] };
  return { files: [`src/${folder}/**/*.ts`], excludeFiles: ["**/*.test.ts"], rules };
}

function serviceOverride(folder: string, allowed: readonly string[]): LintOverride {
  const banned = Object.keys(SERVICE_LAYERS).filter((other) => other !== folder && !allowed.includes(other));
  const message = `${folder} may import ${["itself", ...allowed, ...SERVICE_GROUND.map((each) => `src/${each}`)].join(", ")}`;
  const above = Object.keys(LAYERS).filter((other) => !SERVICE_GROUND.some((each) => each === other));
  const ground = `^(\\.\\./)+src/(${above.join("|")})/`;
  const regex = banned.length === 0 ? ground : `${ground}|^(\\.\\./)+(${banned.join("|")})/`;
  const rules = { "no-restricted-imports": ["error", { patterns: [{ regex, message }] }] };
  return { files: [`catalog/${folder}/**/*.ts`], excludeFiles: ["**/*.test.ts"], rules };
}

/** Every folder of `src` and of `catalog` is in its table, and .oxlintrc.json says what the table says. */
export const layersRule: Rule = (tree) => {
  const violations: Violation[] = [];
  for (const [root, table] of Object.entries({ src: LAYERS, catalog: SERVICE_LAYERS })) {
    const inside = filesMatching(tree, new RegExp(`^${root}/[^/]+/`));
    for (const folder of new Set(inside.map(([file]) => file.split("/")[1] ?? ""))) {
      if (table[folder] !== undefined) continue;
      const message = "has no place in tools/tidy/layers.ts: say what it may import";
      violations.push({ file: `${root}/${folder}`, message });
    }
  }
  const lint: { overrides?: unknown } = JSON.parse(tree.get(".oxlintrc.json") ?? "{}");
  if (JSON.stringify(lint.overrides) !== JSON.stringify(lintOverrides())) {
    violations.push({ file: ".oxlintrc.json", message: "does not say what layers.ts says: run npm run generate" });
  }
  return violations;
};

/**
 * What the service's programs are told.
 *
 * Nouns: the *service file* is a JSON file that all programs of the service are given; each reads the parts that it needs.
 * Secrets are not in it: it names the files that hold them.
 * Invariants: a key that nobody knows is refused, and all that is wrong is told at once; after this file nothing else is read,
 * no variable and no flag.
 */
import { z } from "zod";
import { LifeboatError } from "../../src/errors/error.ts";
import { errorText } from "../../src/errors/error-text.ts";
import { isNetwork } from "../../src/platform/caller-address.ts";
import type { Files } from "../../src/platform/files.ts";

const port = z.int().min(1).max(65_535);
const place = z.strictObject({ host: z.string().min(1), port });

/** A feed, and how often it is read. */
const source = z.strictObject({
  name: z.string().min(1).max(128),
  format: z.enum(["google-xml", "google-tsv", "ndjson", "csv"]),
  /** An http or https address, or `file:` and a path from the folder of feeds. */
  location: z.string().max(2_048),
  merchant: z.string().max(128).optional(),
  country_code: z.string().length(2).optional(),
  currency: z.string().length(3).optional(),
  interval_s: z.number().min(1),
  /** The lower goes first. */
  priority: z.int().min(0).max(10_000).optional(),
});

/** Whether a connection stays with one server for as long as it lives: then statements can be prepared on it. */
const way = place.extend({ prepares: z.boolean().default(false) });

const schema = z.strictObject({
  format: z.literal("lifeboat-catalog-service"),
  version: z.literal(1),
  /** Of who wrote it; nobody reads it: with another release the file is another one, for which the programs are restarted. */
  release: z.string().optional(),
  /** Where writes go, and reads while they can: a pooler, or a primary. */
  database: way.extend({ name: z.string(), user: z.string(), passwordFile: z.string() }),
  /** Where a server answers that may be a replica, with the same role; undefined: reads have one way only. */
  reads: way.optional(),
  redis: place.extend({ passwordFile: z.string() }).optional(),
  /** The file that holds the operator's key, which may do everything. */
  operatorKeyFile: z.string().optional(),
  /** Networks of the proxies before the front and the MCP service: what these say of whom they have a request from is believed. */
  trustedProxies: z.array(z.string().refine(isNetwork, "is no network such as 10.0.0.0/8")).max(64).default([]),
  /** Webhooks may lead to addresses of private networks; for tests, and for networks where everything is private. */
  privateWebhooks: z.boolean().default(false),
  scraper: z
    .strictObject({
      /** Where the API is asked to warm its cache, through the balancer; undefined: nothing is warmed. */
      api: z.url().optional(),
      /** Where `file:` sources lie. */
      feedsFolder: z.string().optional(),
      /** Sources at a time. */
      concurrency: z.int().min(1).max(16).default(2),
      /** Eight made-up merchants with 20,000 offers between them. */
      generated: z.boolean().default(false),
      sources: z
        .array(source)
        .max(1_000)
        .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, "two sources have one name")
        .default([]),
    })
    .optional(),
  mcp: z
    .strictObject({
      /** Where the API is asked, through the balancer. */
      api: z.url(),
      /** Names under which the service is reached, beside this machine's own. */
      hosts: z.array(z.string()).default([]),
      /** Where callers reach the service; default: at this machine. */
      publicUrl: z.url().optional(),
      /** The file that holds the service's own key, for reading only: the API knows it as well. */
      keyFile: z.string().optional(),
    })
    .optional(),
});

/** What a service file says. */
export type ServiceSettings = z.output<typeof schema>;

/** Reads a service file. Rejects with `catalog.settings-invalid` naming every problem, or as reading files does. */
export async function readServiceFile(files: Files, file: string): Promise<ServiceSettings> {
  const text = (await files.readFile(file)).toString("utf8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid(file, `is no JSON: ${errorText(cause)}`, cause);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw invalid(file, problems.join("; "), parsed.error);
}

/**
 * The one line of a file that holds a secret. Rejects with `catalog.settings-invalid` when it is empty: an empty key would be everybody's
 * who shows none, and an empty file is what somebody who is just writing it leaves for a moment.
 */
export async function readSecret(files: Files, file: string): Promise<string> {
  const secret = (await files.readFile(file)).toString("utf8").replace(/\n$/, "");
  if (secret.trim() !== "") return secret;
  throw new LifeboatError("catalog.settings-invalid", {
    message: `${file} holds no secret: it is empty`,
    remedy: "Write one line into it, and start the program again.",
  });
}

/** A secret that may be changed while a program runs: as the file has it now, or as it had it last when it cannot be read. */
export type ChangingSecret = { readonly first: string; readonly now: () => Promise<string> };

/** Opens one. Rejects when the file cannot be read at first. */
export async function secretInFile(files: Files, file: string): Promise<ChangingSecret> {
  const first = await readSecret(files, file);
  let last = first;
  const now = async (): Promise<string> => {
    // A file that somebody is just writing is empty for a moment.
    last = await readSecret(files, file).catch(() => last);
    return last;
  };
  return { first, now };
}

function invalid(file: string, what: string, cause: unknown): LifeboatError {
  return new LifeboatError("catalog.settings-invalid", {
    message: `${file}: ${what}`,
    remedy: "A stack writes this file itself: start it again. By hand: docs/formats/service.md describes it.",
    cause,
  });
}

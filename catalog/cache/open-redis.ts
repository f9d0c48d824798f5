/** Opens the redis that a service file names. */
import type { Clock } from "../../src/platform/clock.ts";
import type { Files } from "../../src/platform/files.ts";
import { type ServiceSettings, secretInFile } from "../settings/service-file.ts";
import { Redis } from "./redis.ts";

/** Undefined where the file names none. Rejects as reading its password's file does. */
export async function openRedis(
  { clock, files }: { readonly clock: Clock; readonly files: Files },
  redis: ServiceSettings["redis"],
): Promise<Redis | undefined> {
  if (redis === undefined) return undefined;
  return new Redis(clock, { ...redis, password: await secretInFile(files, redis.passwordFile) });
}

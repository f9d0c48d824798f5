/** Which run of the machine this is: no process of before outlived its start, and what ran then is not missing by accident. */
import { errorText } from "../../errors/error-text.ts";
import type { Files } from "../files.ts";
import type { Processes } from "../processes.ts";

/** Source: random(4). A new one with each start of the kernel. */
const BOOT_ID = "/proc/sys/kernel/random/boot_id";

/**
 * Two are equal only in one run of one machine; a container that was restarted has another one, by the start of its first
 * process. Undefined where the kernel does not tell.
 */
export async function bootOf({
  files,
  processes,
  notice,
}: {
  readonly files: Pick<Files, "readFile">;
  readonly processes: Pick<Processes, "facts">;
  readonly notice: (message: string) => void;
}): Promise<string | undefined> {
  try {
    const kernel = (await files.readFile(BOOT_ID)).toString("utf8").trim();
    const first = await processes.facts(1);
    return first === undefined ? undefined : `${kernel}/${first.startTicks}`;
  } catch (error) {
    notice(`which run of the machine this is cannot be told: ${errorText(error)}`);
    return undefined;
  }
}

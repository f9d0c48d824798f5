/** A register in etcd: one key, replaced only as the one that was read. */
import { z } from "zod";
import { damagedRegister } from "../file/file-register.ts";
import type { Epoch } from "../lease.ts";
import { judgeWrite, type Register, type RegisterContent } from "../register.ts";
import { EtcdClient, type EtcdEntry, type EtcdPlace } from "./etcd-client.ts";

const valueSchema = z.strictObject({
  version: z.number().int().min(1),
  epoch: z.number().int().min(1),
  value: z.unknown(),
});

/** The register of a key. */
export function etcdRegister(place: EtcdPlace, key: string): Register {
  const client = new EtcdClient(place);
  const look = async (options: { readonly signal?: AbortSignal | undefined }) => {
    const { entries } = await client.transact({ compare: [], put: [], read: [key] }, options);
    const [entry] = entries;
    return { entry, content: entry === undefined ? undefined : contentOf(key, entry) };
  };
  return {
    read: async (options) => (await look(options)).content,
    write: async (write, options) => {
      const { entry, content } = await look(options);
      const answer = judgeWrite(content, write);
      if (answer.kind !== "written") return answer;
      const value = JSON.stringify({ version: answer.version, epoch: write.epoch, value: write.value });
      const compare = [{ key, modRevision: entry?.modRevision ?? "0" }];
      const { done } = await client.transact({ compare, put: [{ key, value }], read: [] }, options);
      return done ? answer : { kind: "conflict" };
    },
  };
}

function contentOf(key: string, { value }: EtcdEntry): RegisterContent {
  try {
    const { version, epoch, value: held } = valueSchema.parse(JSON.parse(value));
    return { version, epoch: epoch as Epoch, value: held };
  } catch (cause) {
    throw damagedRegister(key, cause);
  }
}

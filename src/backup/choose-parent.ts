/**
 * Finds the earlier backup that a new one may keep pages of.
 */
import { type Lsn, lsnMax, parseLsn, segmentStart, type Timeline } from "../postgres/lsn.ts";
import { majorOf } from "../postgres/server-version.ts";
import type { BackupRecord } from "../vault/backups.ts";
import { tellsLoss, unlessLost } from "../vault/unopened.ts";
import type { Vault } from "../vault/vault.ts";
import { getHistory } from "../vault/wal-store.ts";
import { parseHistory } from "../wal/history.ts";
import type { BackupTools } from "./backup.ts";
import { decideFull, type ParentSettings, type WhyFull } from "./decide.ts";
import type { ImageRun } from "./image.ts";
import { assertPacksThere, failedProof } from "./known-damage.ts";
import { ParentImage } from "./parent-image.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** A parent, or why there is none. */
export type ParentChoice = {
  readonly parent: ParentImage | undefined;
  readonly whyFull: WhyFull | undefined;
  /** With a parent: how far the WAL since its end is held. */
  readonly heldTo?: Lsn | undefined;
};

/** The newest backup of the server's system, `earlier`, if the rules let it serve. */
export async function chooseParent(
  tools: BackupTools,
  run: ImageRun & { readonly earlier: BackupRecord | undefined },
  options: CallOptions,
): Promise<ParentChoice> {
  const full = (whyFull: WhyFull): ParentChoice => ({ parent: undefined, whyFull });
  const { vault, connection } = tools;
  const { systemId } = run.named;
  const { earlier: record, history: text } = run;
  if (record === undefined) return full("no-parent");
  let parent: ParentImage;
  try {
    parent = await ParentImage.open(vault, record, options);
  } catch (error) {
    // A damaged earlier backup costs the saving, not the new backup; `vault check` names it.
    if (!tellsLoss(error)) throw error;
    return full("parent-unreadable");
  }
  const damage = await damageOf(vault, parent, options);
  if (damage !== undefined) return full(damage);
  const { timeline } = run.server;
  const texts = new Map<Timeline, string>(text === null ? [] : [[timeline, text]]);
  if (record.timeline !== timeline && record.timeline !== 1) {
    // One that cannot be had vouches for no parent: that costs the saving, not the new backup.
    const held = await getHistory(vault, { systemId, timeline: record.timeline }, options).catch(unlessLost);
    if (held !== undefined) texts.set(record.timeline, held.toString("utf8"));
  }
  const why = decideFull(
    {
      systemId: record.systemId,
      serverMajor: majorOf(record.serverVersion),
      timeline: record.timeline,
      history: parent.header.history,
      endLsn: record.endLsn,
      settings: settingsOf(parent.header.settings),
    },
    {
      systemId,
      serverMajor: majorOf(connection.serverVersion),
      timeline,
      history: text === null ? [] : parseHistory(timeline, Buffer.from(text)),
      historyTexts: texts,
      settings: settingsOf(run.settings),
    },
  );
  if (why !== undefined) return full(why);
  // Asked before anything is streamed: where no receiver runs between backups, a delta costs no second try.
  const from = parseLsn(record.endLsn);
  const heldTo = lsnMax(from, segmentStart(run.server.flushedLsn, record.walSegmentBytes));
  const held = await tools.wal.between?.holds({ systemId, timeline, from, to: heldTo }, options);
  if (held === "held") return { parent, whyFull: undefined, heldTo };
  return full(held === "unreadable" ? "wal-unreadable-between" : "wal-missing-between");
}

/** What is known against it. A delta would inherit the damage, and be announced as if it could be restored. */
async function damageOf(vault: Vault, parent: ParentImage, options: CallOptions): Promise<WhyFull | undefined> {
  const { record, packs } = parent;
  if (await failedProof(vault, { record, packs }, options)) return "parent-failed-proof";
  try {
    await assertPacksThere(vault, packs, options);
    return undefined;
  } catch (error) {
    if (!tellsLoss(error)) throw error;
    return "parent-damaged";
  }
}

function settingsOf(shown: Readonly<Record<string, string>>): ParentSettings {
  return {
    fullPageWrites: shown["full_page_writes"] === "on",
    walLogHints: shown["wal_log_hints"] === "on",
    walLevel: shown["wal_level"] ?? "",
    dataChecksums: shown["data_checksums"] === "on",
  };
}

/** `lifeboat vault init` and `lifeboat vault check`. */
import type { Config } from "../config/schema.ts";
import { EXIT } from "../errors/entry.ts";
import { describeByteSize } from "../units/byte-size.ts";
import type { Finding, VaultReport } from "../vault/check.ts";
import { type PointsGap, renderGaps } from "./points.ts";
import { printable, type Style } from "./style.ts";
import { renderFacts, renderTable } from "./table.ts";
import { defineVerb, type Session, toggle, type Verb, type VerbConfiguration } from "./verb.ts";

const CONFIGURATION: VerbConfiguration = { kind: "checked", sections: ["vault"] };

/** A vault that was made. */
export type MadeVault = {
  readonly vaultId: string;
  /** As a person calls it: `disk:/var/backups/lifeboat`. */
  readonly store: string;
  /** Undefined for a vault without encryption. */
  readonly recoveryKey: string | undefined;
};

/** Makes the configured vault; asks for a new passphrase where none is configured. */
export type MakeVault = (call: { readonly config: Config; readonly session: Session }) => Promise<MadeVault>;

/** What a check found, and the gaps in the WAL that are no damage: a backup begins behind each. */
export type CheckedVault = VaultReport & { readonly gaps: readonly PointsGap[] };

/** Checks the configured vault. */
export type CheckConfiguredVault = (call: {
  readonly config: Config;
  readonly session: Session;
  readonly readData: boolean;
}) => Promise<CheckedVault>;

/** `vault init`. */
export function vaultInitVerb(makeVault: MakeVault): Verb {
  return defineVerb({
    path: ["vault", "init"],
    summary: "Make a vault",
    description:
      "Makes a vault in an empty folder. Its data key is wrapped by your passphrase and by a recovery key, which is printed " +
      "once and kept nowhere. Who has lost both can never read the backups again.",
    arguments: {},
    options: {},
    configuration: CONFIGURATION,
    examples: [
      { line: "lifeboat vault init", does: "Asks for the passphrase." },
      { line: "lifeboat vault init --vault-passphrase-file /root/vault.passphrase", does: "Asks nothing." },
      { line: "lifeboat vault init --vault-path /mnt/backups/shop", does: "Somewhere else." },
    ],
    run: async ({ session }) => {
      const made = await makeVault({ config: await session.config(), session });
      return { json: made, text: renderMadeVault(made, session.style) };
    },
  });
}

/** `vault check`. */
export function vaultCheckVerb(checkVault: CheckConfiguredVault): Verb {
  return defineVerb({
    path: ["vault", "check"],
    summary: "Check that everything in the vault is there and whole",
    description:
      "Checks that every object a backup needs is there and has its size; with --read-data also that every byte opens. " +
      "Ends with status 5 when something is damaged or lost, and lists what can still be restored.",
    arguments: {},
    options: { readData: toggle("Read, decrypt and verify every byte; takes as long as reading the vault.") },
    configuration: CONFIGURATION,
    examples: [
      { line: "lifeboat vault check", does: "Quick: names and sizes." },
      { line: "lifeboat vault check --read-data", does: "Thorough: every byte." },
    ],
    run: async ({ options, session }) => {
      const report = await checkVault({ config: await session.config(), session, readData: options.readData });
      return {
        json: vaultReportJson(report),
        text: renderVaultReport(report, session.style),
        exit: isVaultWhole(report) ? 0 : EXIT.damaged,
      };
    },
  });
}

/** A made vault for people. The recovery key stands alone on its line, to be copied. */
export function renderMadeVault(made: MadeVault, style: Style): string {
  const head = `Made the vault ${made.vaultId} in ${printable(made.store)}.`;
  if (made.recoveryKey === undefined) {
    return `${head}\n${style.warning("It is not encrypted: whoever can read it can read the data.")}`;
  }
  return [
    head,
    "",
    `Recovery key: ${style.strong(made.recoveryKey)}`,
    "",
    "This key is shown once and kept nowhere. It opens the vault when the passphrase is lost.",
    "Print it, or store it apart from this machine and from the vault. Who has lost both the",
    "passphrase and this key can never read the backups again: nobody can help.",
  ].join("\n");
}

/**
 * True when nothing was found wrong. A gap behind which a backup begins may always have been one: it is told, and no damage. So is what no
 * backup needs: a vault of an earlier version lacks the copy of its marker and a restore program, and one that is not written to any
 * more would alarm for ever.
 */
export function isVaultWhole(report: VaultReport): boolean {
  return report.findings.length === 0 && report.backups.every((backup) => backup.whole);
}

/** A report for people: what is wrong first, then what can be restored. */
export function renderVaultReport(report: CheckedVault, style: Style): string {
  const whole = report.backups.filter((backup) => backup.whole);
  const broken = report.backups.filter((backup) => !backup.whole);
  const findings = [...report.findings, ...broken.flatMap((backup) => backup.findings)];
  const parts: string[] = [];
  if (findings.length > 0) {
    const rows = findings.map((finding) => [finding.object, finding.reason.code, finding.reason.message]);
    const columns = ["object", "code", "what is wrong"].map((title) => ({ title, align: "left" as const }));
    parts.push(style.bad(`The vault is damaged: ${findings.length} ${plural(findings.length, "finding")}.`));
    parts.push(renderTable(columns, rows, style));
  } else if (isVaultWhole(report) && report.gaps.length === 0) parts.push(style.good("The vault is whole."));
  else parts.push(style.good("All that its backups need is whole."));
  if (report.lacking.length > 0) {
    const what = `The vault lacks ${report.lacking.join(" and ")}`;
    parts.push(style.warning(`${what}: the next backup stores it, or \`lifeboat vault repair\`.`));
  }
  if (report.gaps.length > 0) {
    const lost = "moments in a gap cannot be restored. Where this is a copy, the original may have that WAL.";
    parts.push(style.warning(`WAL between the backups is missing: ${lost}`), renderGaps(report.gaps, style));
  }
  parts.push(
    renderFacts([
      ["backups that can be restored", `${whole.length} of ${report.backups.length}`],
      ...broken.map(({ backup }) => ["damaged backup", backup.backupId] as const),
      ["WAL segments", String(report.walSegmentCount)],
      ["unfinished backups", String(report.unfinished.length)],
      ["packs of no backup", `${report.unreferencedPacks.length} (harmless)`],
      ["bytes read", describeByteSize(report.readBytes)],
    ]),
  );
  return parts.join("\n\n");
}

/** A report for programs. */
export function vaultReportJson(report: CheckedVault) {
  return {
    ...report,
    whole: isVaultWhole(report) && report.gaps.length === 0,
    findings: report.findings.map(findingJson),
    backups: report.backups.map((each) => ({ ...each, findings: each.findings.map(findingJson) })),
  };
}

function findingJson(finding: Finding) {
  const { code, message, remedy } = finding.reason;
  return { object: finding.object, code, message, remedy };
}

function plural(count: number, word: string): string {
  return count === 1 ? word : `${word}s`;
}

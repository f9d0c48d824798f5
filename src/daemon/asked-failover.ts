/** Whether a person may have the primary replaced now, and by what plan. Pure. */
import { LifeboatError } from "../errors/error.ts";
import type { LossEstimate, Offer } from "../failover/decide.ts";
import { finishOf, type Plan, planFailover } from "../failover/plan.ts";
import type { ClusterRecord } from "../failover/ports.ts";
import { REASONS, type Reason, reasonText } from "../failover/reasons.ts";
import type { Look } from "./watcher.ts";

/** The loss in the words that a person types. */
export function statedLoss(loss: LossEstimate): string {
  if (loss.kind === "none") return "0 bytes";
  return loss.bytesMax === undefined ? "unknown" : `${loss.bytesMax} bytes`;
}

/**
 * The plan: where a node was promoted already, and that was cut short, what is left of it. Throws `failover.primary-lives`, `failover.blocked`, or `failover.loss-not-stated` when what was accepted is not what
 * is stated.
 */
export function askedFailover({ decision, seen }: Look, record: ClusterRecord, acceptLoss: string | undefined): Plan {
  const from = record.primary;
  // Whatever else is seen: what clients wrote there since is nowhere else, and nobody else may take over.
  const finish = finishOf(seen);
  if (finish !== undefined) return finish;
  switch (decision.kind) {
    case "promotable":
      return planFailover({ from, to: decision.candidate, terms: decision.terms });
    case "blocked": {
      const offer = decision.offers.find((each) => each.kind === "accept-loss");
      if (offer?.kind !== "accept-loss" || acceptLoss === undefined) throw blocked(from, decision.reasons, offer);
      const stated = statedLoss(offer.loss);
      if (normal(acceptLoss) !== normal(stated)) throw lossNotStated(acceptLoss, stated);
      const others = [...seen.nodes.keys()].filter(
        (name) => name !== from && name !== offer.candidate && record.joined.includes(name),
      );
      const consultWitness = seen.witness.view !== undefined;
      // The loss that was accepted was stated without what the witness holds beyond a hole.
      const overHole = decision.reasons.some(({ code }) => code === "witness-hole");
      // The loss is accepted, a second primary is not: the old one must be down for sure, or its quorum withdrawn.
      const terms = { consultWitness, overHole, outwaitGrant: false, confirmedStop: true, holdBack: true, others };
      return planFailover({ from, to: offer.candidate, terms });
    }
    case "healthy":
    case "suspect":
    case "lost-quorum":
    case "hold":
    case "unknown":
      throw new LifeboatError("failover.primary-lives", {
        message: `${from} is not replaced: ${wordsOf(decision.kind, reasonsOf(decision))}`,
        remedy:
          decision.kind === "healthy"
            ? "To hand the role over: lifeboat switchover --to NODE."
            : "Look at it, and stop it for sure where it must not come back: lifeboat failover --check-only says what is known, and what to do about a second primary.",
        details: { decision: decision.kind },
      });
  }
}

/** The receiver answers, so that it is reckoned with, and cannot be kept from confirming: what a person can do about that. */
export function vaultInTheWay(cause: LifeboatError): LifeboatError {
  return new LifeboatError("failover.step-failed", {
    message: `nothing was promoted: the vault's receiver answers and does not stop confirming to the old primary: ${cause.message}`,
    remedy:
      "Restart it and try again: lifeboat restart receiver. Where that does not help, go on without what it holds: halt it, kill -STOP and the number of its process in lifeboat wal status, and run lifeboat failover --promote again, which states the loss. kill -CONT when that has ended.",
    retryable: true,
    cause,
    details: { step: "withdraw-witness" },
  });
}

function reasonsOf(decision: Look["decision"]): readonly Reason[] {
  return decision.kind === "healthy" ? decision.concerns : decision.reasons;
}

function wordsOf(kind: string, reasons: readonly Reason[]): string {
  if (kind === "healthy") return "it is healthy";
  return `${kind}: ${reasons.map(wordOf).join("; ")}`;
}

function wordOf({ node, code, facts }: Reason): string {
  return reasonText({ node, says: REASONS[code], facts });
}

function blocked(from: string, reasons: readonly Reason[], offer: Offer | undefined): LifeboatError {
  const stated = offer?.kind === "accept-loss" ? statedLoss(offer.loss) : undefined;
  return new LifeboatError("failover.blocked", {
    message: `${from} is gone, and nobody may take over: ${reasons.map(wordOf).join("; ")}`,
    remedy:
      stated === undefined
        ? "Bring back a node, or restore from the vault: lifeboat points, then lifeboat restore."
        : `Bring back what is missing. To accept the loss: lifeboat failover --promote --accept-loss '${stated}'.`,
    details: stated === undefined ? {} : { loss: stated },
  });
}

function lossNotStated(typed: string, stated: string): LifeboatError {
  return new LifeboatError("failover.loss-not-stated", {
    message: `accepted was a loss of "${typed}", stated is "${stated}"`,
    remedy: `Look at it once more, and type what is stated: --accept-loss '${stated}'.`,
    details: { stated },
  });
}

function normal(text: string): string {
  return text
    .trim()
    .toLowerCase()
    .replace(/\s+/g, " ")
    .replace(/^(\d+)( b| bytes?)?$/, "$1");
}

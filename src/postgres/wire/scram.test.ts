import assert from "node:assert/strict";
import { test } from "node:test";
import { isLifeboatError } from "../../errors/error.ts";
import { answerScram, beginScram, certificateBinding, scramSecret, verifyScram } from "./scram.ts";

const NONCE = "rOprNGfwEbeRWgbNEkqO";
const CHALLENGE = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const refused = (error: unknown) => isLifeboatError(error, "postgres.login-refused");

test("the proof and the server's signature are those of the example of RFC 7677, but for the user's name", async () => {
  const start = { ...begin(), bare: `n=user,r=${NONCE}` };
  const answer = await answerScram(start, { password: "pencil", challenge: CHALLENGE });
  assert.equal(
    answer.response,
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
  );
  verifyScram(answer.serverSignature, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
});

test("what a server keeps of the password of that example knows its proof and makes its signature", async () => {
  const salt = Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64");
  const [, head, keys = ""] = scramSecret({ password: "pencil", salt }).split("$");
  assert.equal(head, "4096:W22ZaJ0SNY7soEsUEjb6gQ==");
  assert.equal(keys, "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
});

test("a server that cannot prove that it knows the password is refused", async () => {
  const answer = await answerScram(begin(), { password: "pencil", challenge: CHALLENGE });
  assert.throws(() => verifyScram(answer.serverSignature, `v=${Buffer.alloc(32).toString("base64")}`), refused);
  assert.throws(() => verifyScram(answer.serverSignature, "e=other-error"), refused);
  assert.throws(() => verifyScram(answer.serverSignature, ""), refused);
});

test("a challenge that answers another nonce, adds nothing to ours, is malformed or asks for too many rounds is refused", async () => {
  const salt = "s=W22ZaJ0SNY7soEsUEjb6gQ==";
  for (const challenge of [
    `r=another%hvYDpWUa2RaTC,${salt},i=4096`,
    `r=${NONCE},${salt},i=4096`,
    `r=${NONCE}x,${salt},i=0`,
    `r=${NONCE}x,${salt},i=2000000000`,
    `r=${NONCE}x,i=4096`,
    "",
  ]) {
    await assert.rejects(answerScram(begin(), { password: "pencil", challenge }), refused, challenge);
  }
});

test("the channel is bound where certificate and server allow it, and a missing offer is reported to the server", () => {
  const binding = { kind: "certificate", hash: Buffer.alloc(32, 1) } as const;
  const both = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"];
  const bound = beginScram({ offered: both, binding, nonce: NONCE });
  assert.equal(bound.mechanism, "SCRAM-SHA-256-PLUS");
  assert.ok(bound.initial.startsWith("p=tls-server-end-point,,n=,r="));
  assert.equal(Buffer.from(bound.binding, "base64").subarray(-32).equals(binding.hash), true);
  assert.ok(beginScram({ offered: ["SCRAM-SHA-256"], binding, nonce: NONCE }).initial.startsWith("y,,"));
  assert.ok(beginScram({ offered: both, binding: { kind: "none" }, nonce: NONCE }).initial.startsWith("n,,"));
  assert.throws(() => beginScram({ offered: ["SCRAM-SHA-1"], binding, nonce: NONCE }), refused);
  assert.deepEqual(certificateBinding(undefined), { kind: "none" });
});

test("a password with other spaces or ligatures is prepared as the server does it", async () => {
  const plain = await answerScram(begin(), { password: "a fix", challenge: CHALLENGE });
  const fancy = await answerScram(begin(), { password: "a\u00a0\ufb01\u00adx", challenge: CHALLENGE });
  assert.equal(fancy.response, plain.response);
});

function begin() {
  return beginScram({ offered: ["SCRAM-SHA-256"], binding: { kind: "none" }, nonce: NONCE });
}

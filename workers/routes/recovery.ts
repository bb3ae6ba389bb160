// Recovery: putting a phrase to a member's name; and for whoever holds one, or a passkey beside it, the sealed backup and the way in for one
// device.

import { Hono } from "hono";
import type * as v from "valibot";
import {
  type PasskeyRecoveredAnswer,
  PasskeySignInBody,
  type RecoveredAnswer,
  type RecoveryAnswer,
  RecoveryBody,
  RecoveryChallengeBody,
  RecoveryDeviceBody,
  SignInBody,
} from "../../schemas/api.ts";
import { enrolmentPayload } from "../../schemas/recovery.ts";
import { Refusal } from "../../schemas/refusal.ts";
import { type App, signedIn, verifySignature } from "../auth.ts";
import { dropRecovery, enrolRecovery, findRecovery, type OpenedRecovery } from "../directory/recoveries.ts";
import { enrolDevice } from "../enrolment.ts";
import { readBody } from "../input.ts";
import { addressOf, countRequest } from "../limits.ts";
import { issuePasskeyChallenge, issuePasskeyToken } from "../passkeys.ts";
import { issueRecoveryChallenge, issueRecoveryToken, type RecoveryApp, recovering } from "../recovery.ts";
import type { Owner } from "../vault.ts";
import { answerObject, answerShelf } from "./vault.ts";

const ownerOf = ({ tenant, residency, member }: Owner): Owner => ({ tenant, residency, member });

const whoOf = ({ tenant, tenantName, residency, member, name, role, identityKey }: OpenedRecovery) => ({
  tenant: { id: tenant, name: tenantName, residency },
  member: { id: member, name, role, identityKey },
});

/** What the holder of a phrase or passkey may do. */
const holder = new Hono<RecoveryApp>()
  .post("/challenges", async (c) => {
    await countRequest(c.env, "SIGN_IN_LIMIT", addressOf(c.req.raw));
    const { lookup } = await readBody(c, RecoveryChallengeBody);
    return c.json(await issueRecoveryChallenge(c.env, lookup));
  })
  .post("/tokens", async (c) => {
    await countRequest(c.env, "SIGN_IN_LIMIT", addressOf(c.req.raw));
    const { opened, ...token } = await issueRecoveryToken(c.env, await readBody(c, SignInBody));
    return c.json({ ...token, ...whoOf(opened) } satisfies v.InferOutput<typeof RecoveredAnswer>);
  })
  .post("/passkey/challenges", async (c) => {
    await countRequest(c.env, "SIGN_IN_LIMIT", addressOf(c.req.raw));
    return c.json(await issuePasskeyChallenge(c.env));
  })
  .post("/passkey/tokens", async (c) => {
    await countRequest(c.env, "SIGN_IN_LIMIT", addressOf(c.req.raw));
    const answer = { body: await readBody(c, PasskeySignInBody), origin: new URL(c.req.url).origin };
    const { opened, ...token } = await issuePasskeyToken(c.env, answer);
    return c.json({ ...token, ...whoOf(opened) } satisfies v.InferOutput<typeof PasskeyRecoveredAnswer>);
  })
  .get("/backup", recovering, (c) => answerShelf(c.env, ownerOf(c.var.recovery), "backup"))
  .get("/backup/:id", recovering, (c) =>
    answerObject(c.env, ownerOf(c.var.recovery), { shelf: "backup", id: c.req.param("id") }),
  )
  .post("/device", recovering, async (c) => {
    const { tenant, member: id, name, identityKey, grant } = c.var.recovery;
    const { device } = await readBody(c, RecoveryDeviceBody);
    return c.json(await enrolDevice(c.env, { tenant, member: { id, name, identityKey }, grant, device }));
  });

/** What a signed-in member may do about the own phrase. */
const own = new Hono<App>()
  .get("/", signedIn, async (c) => {
    const row = await findRecovery(c.var.caller.tenant, c.env.DIRECTORY, c.var.caller.member);
    const recovery = row === undefined ? null : { lookup: row.lookup, enrolledAt: row.enrolledAt };
    return c.json({ recovery } satisfies v.InferOutput<typeof RecoveryAnswer>);
  })
  .put("/", signedIn, async (c) => {
    const { tenant, member } = c.var.caller;
    const { lookup, publicKey, proof } = await readBody(c, RecoveryBody);
    const proven = await verifySignature(publicKey, proof, enrolmentPayload({ tenant, member, lookup }));
    if (!proven) throw new Refusal("forbidden");
    const enrolment = { member, lookup, publicKey, now: Date.now() };
    if (!(await enrolRecovery(tenant, c.env.DIRECTORY, enrolment))) throw new Refusal("conflict");
    return c.body(null, 204);
  })
  .delete("/", signedIn, async (c) => {
    await dropRecovery(c.var.caller.tenant, c.env.DIRECTORY, c.var.caller.member);
    return c.body(null, 204);
  });

export const recovery = new Hono().route("/", own).route("/", holder);

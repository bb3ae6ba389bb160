// Sign-in without a password: a challenge, and a token for whoever signs it with a device's key.

import { Hono } from "hono";
import { ChallengeBody, SignInBody } from "../../schemas/api.ts";
import { signInPayload } from "../../schemas/credential.ts";
import { Refusal } from "../../schemas/refusal.ts";
import { type App, assertGood, issueChallenge, issueToken, verifyChallenge, verifySignature } from "../auth.ts";
import { proclaim } from "../decree.ts";
import { sweepDepartures } from "../departures.ts";
import { findStanding, touchDevice } from "../directory/devices.ts";
import { readBody } from "../input.ts";
import { addressOf, countRequest } from "../limits.ts";
import { publishKeys } from "../publication.ts";
import { trace } from "../trace.ts";
import { sweepVault } from "../vault.ts";

export const challenges = new Hono<App>().post("/", async (c) => {
  await countRequest(c.env, "API_LIMIT", addressOf(c.req.raw));
  const { tenant, device } = await readBody(c, ChallengeBody);
  return c.json(await issueChallenge(c.env, { tenant, device }));
});

export const tokens = new Hono<App>().post("/", async (c) => {
  // A whole office may sign in from one address after an outage, so the narrow limit is the device's
  await countRequest(c.env, "API_LIMIT", addressOf(c.req.raw));
  const { challenge, signature } = await readBody(c, SignInBody);
  const { tenant, device } = await verifyChallenge(c.env, challenge);
  await countRequest(c.env, "SIGN_IN_LIMIT", device);
  const standing = await findStanding(tenant, c.env.DIRECTORY, device);
  const signed =
    standing !== undefined && (await verifySignature(standing.signatureKey, signature, signInPayload(challenge)));
  // Only the holder of the key learns that there is such a device, and how it stands
  if (!signed) throw new Refusal("not_found");
  const { residency, told } = standing;
  // Also for a suspended tenant: nobody of it gets past the next line
  if (!told) c.executionCtx.waitUntil(proclaim(c.env, { tenant, residency }).catch(() => trace("chores", { tenant })));
  assertGood(standing);
  const chores = [
    touchDevice(tenant, c.env.DIRECTORY, { device, now: Date.now() }),
    sweepDepartures(c.env, { tenant, residency }),
    sweepVault(c.env, { tenant, residency }),
    publishKeys(c.env, { tenant, residency }),
  ];
  c.executionCtx.waitUntil(Promise.all(chores).catch(() => trace("chores", { tenant })));
  return c.json(await issueToken(c.env, { tenant, device, standing }));
});

// Sign-up: a tenant, its owner and the owner's first device, in one step.

import { Hono } from "hono";
import { SignupBody } from "../../schemas/api.ts";
import { Refusal } from "../../schemas/refusal.ts";
import { assertIntroduction, enter, welcome } from "../admission.ts";
import type { App } from "../auth.ts";
import { insertOwner } from "../directory/members.ts";
import { findTenant, insertTenant } from "../directory/tenants.ts";
import { readBody } from "../input.ts";
import { addressOf, countRequest } from "../limits.ts";

export const tenants = new Hono<App>().post("/", async (c) => {
  await countRequest(c.env, "SIGNUP_LIMIT", addressOf(c.req.raw));
  const { tenant, member } = await readBody(c, SignupBody);
  await assertIntroduction(tenant.id, member);
  const db = c.env.DIRECTORY;
  const now = Date.now();
  const entry = [insertTenant(tenant.id, db, { ...tenant, now }), insertOwner(tenant.id, db, { ...member, now })];
  const entered = await enter(tenant.id, db, { entry, member, invite: null });
  const kept = await findTenant(tenant.id, db);
  if (!entered || kept?.name !== tenant.name || kept.residency !== tenant.residency) throw new Refusal("conflict");
  return c.json(await welcome(c.env, tenant.id, member));
});

// The operator's door: suspends a company and lifts that, and lets its owner, who has lost everything, come back. It opens to OPERATOR_SECRET alone; without that secret nothing is here.

import { Hono, type MiddlewareHandler } from "hono";
import type * as v from "valibot";
import { OwnerReturnBody, type SuspensionAnswer } from "../../schemas/api.ts";
import { equalBytes, utf8 } from "../../schemas/bytes.ts";
import { TenantId } from "../../schemas/ids.ts";
import { Refusal } from "../../schemas/refusal.ts";
import type { App } from "../auth.ts";
import { proclaim } from "../decree.ts";
import { setSuspension } from "../directory/decrees.ts";
import { findOwner } from "../directory/members.ts";
import { findTenant } from "../directory/tenants.ts";
import type { Env } from "../env.ts";
import { readBody, readValue } from "../input.ts";
import { makeInvite } from "../invitation.ts";
import { addressOf, countRequest } from "../limits.ts";

const MIN_SECRET = 32;

/** Lets the operator through. To everybody else, and without a secret that cannot be guessed, there is no such address. */
const operator: MiddlewareHandler<App> = async (c, next) => {
  await countRequest(c.env, "SIGN_IN_LIMIT", addressOf(c.req.raw));
  const secret = c.env.OPERATOR_SECRET ?? "";
  const isOperator = await isSame(c.req.header("authorization") ?? "", `Bearer ${secret}`);
  if (secret.length < MIN_SECRET || !isOperator) throw new Refusal("not_found");
  await next();
};

/** Digests are compared: how long that takes says nothing of the texts. */
async function isSame(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([one, other].map((text) => crypto.subtle.digest("SHA-256", utf8(text))));
  return a !== undefined && b !== undefined && equalBytes(new Uint8Array(a), new Uint8Array(b));
}

async function known(env: Env, id: string) {
  const row = await findTenant(readValue(TenantId, id), env.DIRECTORY);
  if (row === undefined) throw new Refusal("not_found");
  return row;
}

/** @throws {Refusal} unavailable — it is written down, but not on its way yet: ask again, or the tenant's next sign-in does */
async function decide(env: Env, id: string, suspended: boolean): Promise<void> {
  const { id: tenant, residency } = await known(env, id);
  await setSuspension(tenant, env.DIRECTORY, suspended ? Date.now() : null);
  await proclaim(env, { tenant, residency });
}

export const operators = new Hono<App>()
  .get("/tenants/:id/suspension", operator, async (c) => {
    const { suspendedAt, told } = await known(c.env, c.req.param("id"));
    return c.json({ suspendedAt, confirmed: told } satisfies v.InferOutput<typeof SuspensionAnswer>);
  })
  .put("/tenants/:id/suspension", operator, async (c) => {
    await decide(c.env, c.req.param("id"), true);
    return c.body(null, 204);
  })
  .delete("/tenants/:id/suspension", operator, async (c) => {
    await decide(c.env, c.req.param("id"), false);
    return c.body(null, 204);
  })
  .post("/tenants/:id/owner-return", operator, async (c) => {
    const { id: tenant } = await known(c.env, c.req.param("id"));
    const { id, secretHash, expiresIn } = await readBody(c, OwnerReturnBody);
    const owner = await findOwner(tenant, c.env.DIRECTORY);
    if (owner === undefined) throw new Refusal("not_found");
    const createdAt = Date.now();
    const made = { createdBy: null, createdAt, expiresAt: createdAt + expiresIn };
    await makeInvite(c.env, tenant, { id, secretHash, role: owner.role, uses: 1, member: owner.id, ...made });
    return c.body(null, 204);
  });

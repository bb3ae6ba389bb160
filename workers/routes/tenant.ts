// The caller's own tenant and its policy.

import { Hono } from "hono";
import type * as v from "valibot";
import { type TenantAnswer, TenantPatch } from "../../schemas/api.ts";
import { Refusal } from "../../schemas/refusal.ts";
import { announceChange } from "../announcement.ts";
import { type App, assertAdmin, signedIn } from "../auth.ts";
import { proclaim } from "../decree.ts";
import { findTenant, setPolicy } from "../directory/tenants.ts";
import { readBody } from "../input.ts";

export const tenant = new Hono<App>()
  .get("/", signedIn, async (c) => {
    const row = await findTenant(c.var.caller.tenant, c.env.DIRECTORY);
    if (row === undefined) throw new Refusal("not_found");
    const { id, name, residency, policy } = row;
    return c.json({ id, name, residency, policy } satisfies v.InferOutput<typeof TenantAnswer>);
  })
  .patch("/", signedIn, async (c) => {
    assertAdmin(c.var.caller);
    const { policy } = await readBody(c, TenantPatch);
    await setPolicy(c.var.caller.tenant, c.env.DIRECTORY, policy);
    await proclaim(c.env, c.var.caller);
    c.executionCtx.waitUntil(announceChange(c.env, c.var.caller));
    return c.body(null, 204);
  });

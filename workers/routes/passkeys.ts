// Passkeys: a member's own, each a second way to what the phrase beside it opens.

import { Hono } from "hono";
import type * as v from "valibot";
import { PasskeyBody, type PasskeysAnswer } from "../../schemas/api.ts";
import { PasskeyId } from "../../schemas/ids.ts";
import { Refusal } from "../../schemas/refusal.ts";
import { type App, signedIn } from "../auth.ts";
import { dropPasskey, listPasskeys } from "../directory/passkeys.ts";
import { readBody, readValue } from "../input.ts";
import { enterPasskey, issueRegistrationChallenge } from "../passkeys.ts";

export const passkeys = new Hono<App>()
  .post("/challenges", signedIn, async (c) => c.json(await issueRegistrationChallenge(c.env, c.var.caller)))
  .get("/", signedIn, async (c) => {
    const rows = await listPasskeys(c.var.caller.tenant, c.env.DIRECTORY, c.var.caller.member);
    const passkeys = rows.map(({ id, name, credential, createdAt, usedAt }) => ({
      id,
      name,
      credential,
      createdAt,
      usedAt,
    }));
    return c.json({ passkeys } satisfies v.InferOutput<typeof PasskeysAnswer>);
  })
  .post("/", signedIn, async (c) => {
    const body = await readBody(c, PasskeyBody);
    await enterPasskey(c.env, c.var.caller, { body, origin: new URL(c.req.url).origin });
    return c.body(null, 204);
  })
  .delete("/:id", signedIn, async (c) => {
    const { tenant, member } = c.var.caller;
    const passkey = readValue(PasskeyId, c.req.param("id"));
    if (!(await dropPasskey(tenant, c.env.DIRECTORY, { member, passkey }))) throw new Refusal("not_found");
    return c.body(null, 204);
  });

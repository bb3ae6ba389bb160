// Meeting places of a signed-in device and one that has only a code. Whoever knows the id of one may read it, answer once and clear it away.

import { type Context, Hono } from "hono";
import type * as v from "valibot";
import { type LinkAnswer, LinkBody, LinkHelloBody, LinkMessageBody } from "../../schemas/api.ts";
import { LinkId } from "../../schemas/ids.ts";
import { LIMITS } from "../../schemas/policy.ts";
import { Refusal } from "../../schemas/refusal.ts";
import { type App, signedIn } from "../auth.ts";
import { closeLink, findLink, leaveInLink, openLink, type Step } from "../directory/links.ts";
import { readBody, readValue } from "../input.ts";
import { addressOf, countRequest } from "../limits.ts";
import { reach } from "../reach.ts";
import { mailboxStub } from "../residency.ts";

/** Leaves what the request holds; the same bytes again are alike. @throws {Refusal} not_found; conflict — something else is there, or it is too early */
async function leave(c: Context<App>, step: Step, body: v.InferOutput<typeof LinkHelloBody>): Promise<Response> {
  const id = readValue(LinkId, c.req.param("id"));
  const { bytes, share } = body;
  const link = await leaveInLink(c.env.DIRECTORY, { id, step, bytes, share, now: Date.now() });
  if (link === undefined) throw new Refusal("not_found");
  if (link[step] !== bytes) throw new Refusal("conflict");
  return c.body(null, 204);
}

/** To everybody but the device that opened it, a meeting place is as absent as one that never was. @throws {Refusal} not_found */
async function assertOwn(c: Context<App>): Promise<void> {
  const link = await findLink(c.env.DIRECTORY, readValue(LinkId, c.req.param("id")), Date.now());
  const { tenant, device } = c.var.caller;
  if (link?.tenant !== tenant || link.device !== device) throw new Refusal("not_found");
}

export const links = new Hono<App>()
  .post("/", signedIn, async (c) => {
    const { tenant, device } = c.var.caller;
    const { id, offer } = await readBody(c, LinkBody);
    const now = Date.now();
    const link = { id, device, offer, expiresAt: now + LIMITS.linkLife, now };
    // Before there is anything that would have to go
    await reach(async () => mailboxStub(c.env, c.var.caller).expire(link.expiresAt));
    const kept = await openLink(tenant, c.env.DIRECTORY, link);
    if (kept?.tenant !== tenant || kept.device !== device || kept.offer !== offer) throw new Refusal("conflict");
    return c.body(null, 204);
  })
  .get("/:id", async (c) => {
    await countRequest(c.env, "API_LIMIT", addressOf(c.req.raw));
    const now = Date.now();
    const link = await findLink(c.env.DIRECTORY, readValue(LinkId, c.req.param("id")), now);
    if (link === undefined) throw new Refusal("not_found");
    const { offer, hello, reveal, handover, expiresAt } = link;
    return c.json({ offer, hello, reveal, handover, expiresAt, now } satisfies v.InferOutput<typeof LinkAnswer>);
  })
  .post("/:id/hello", async (c) => {
    await countRequest(c.env, "SIGN_IN_LIMIT", addressOf(c.req.raw));
    return leave(c, "hello", await readBody(c, LinkHelloBody));
  })
  .post("/:id/reveal", signedIn, async (c) => {
    await assertOwn(c);
    return leave(c, "reveal", await readBody(c, LinkMessageBody));
  })
  .post("/:id/handover", signedIn, async (c) => {
    await assertOwn(c);
    return leave(c, "handover", await readBody(c, LinkMessageBody));
  })
  .delete("/:id", async (c) => {
    await countRequest(c.env, "API_LIMIT", addressOf(c.req.raw));
    await closeLink(c.env.DIRECTORY, readValue(LinkId, c.req.param("id")));
    return c.body(null, 204);
  });

// A member's own vault: sealed objects in, out, listed and destroyed.

import { type Context, Hono } from "hono";
import type * as v from "valibot";
import { EXPIRES_AT_HEADER, Shelf, type VaultAnswer } from "../../schemas/api.ts";
import { VaultId } from "../../schemas/ids.ts";
import { LIMITS } from "../../schemas/policy.ts";
import { Refusal } from "../../schemas/refusal.ts";
import { type App, signedIn } from "../auth.ts";
import type { Env } from "../env.ts";
import { readValue } from "../input.ts";
import { readCapped } from "../limits.ts";
import { deleteObject, type Expected, getObject, listShelf, type Owner, putObject } from "../vault.ts";

/** An object as an answer, its tag as ETag. @throws {Refusal} malformed — no such id can be; not_found; unavailable */
export async function answerObject(
  env: Env,
  owner: Owner,
  { shelf, id }: { shelf: Shelf; id: string },
): Promise<Response> {
  const { body, size, etag } = await getObject(env, owner, { shelf, id: readValue(VaultId, id) });
  const headers = { "content-type": "application/octet-stream", "content-length": String(size), etag: `"${etag}"` };
  return new Response(body, { headers });
}

/** A shelf as an answer. @throws {Refusal} unavailable */
export async function answerShelf(env: Env, owner: Owner, shelf: Shelf): Promise<Response> {
  const rows = await listShelf(env, owner, shelf);
  const objects = rows.map(({ shelf: _, ...object }) => object);
  return Response.json({ objects } satisfies v.InferOutput<typeof VaultAnswer>);
}

export const vault = new Hono<App>()
  .get("/:shelf", signedIn, (c) => answerShelf(c.env, c.var.caller, readValue(Shelf, c.req.param("shelf"))))
  .get("/:shelf/:id", signedIn, (c) => {
    const shelf = readValue(Shelf, c.req.param("shelf"));
    return answerObject(c.env, c.var.caller, { shelf, id: c.req.param("id") });
  })
  .put("/:shelf/:id", signedIn, async (c) => {
    const shelf = readValue(Shelf, c.req.param("shelf"));
    const id = readValue(VaultId, c.req.param("id"));
    const [expected, expiresAt] = [expectedOf(c), expiresAtOf(c)];
    const bytes = await readCapped(c.req.raw, LIMITS.vaultObjectBytes);
    if (bytes.length === 0) throw new Refusal("malformed");
    const etag = await putObject(c.env, c.var.caller, { shelf, id, bytes, expiresAt, expected });
    return c.body(null, 204, { etag: `"${etag}"` });
  })
  .delete("/:shelf/:id", signedIn, async (c) => {
    const shelf = readValue(Shelf, c.req.param("shelf"));
    await deleteObject(c.env, c.var.caller, { shelf, id: readValue(VaultId, c.req.param("id")) });
    return c.body(null, 204);
  });

/** What a request expects to replace (RFC 9110 §13.1). @throws {Refusal} malformed — any other condition than the two there are */
function expectedOf(c: Context<App>): Expected {
  const [match, none] = [c.req.header("if-match"), c.req.header("if-none-match")];
  if (match === undefined && none === undefined) return undefined;
  if (match === undefined && none === "*") return null;
  const [, etag] = /^"([0-9a-f]{1,64})"$/.exec(match ?? "") ?? [];
  if (etag === undefined || none !== undefined) throw new Refusal("malformed");
  return etag;
}

/** @throws {Refusal} malformed — not a time in ms that lies ahead */
function expiresAtOf(c: Context<App>): number | null {
  const text = c.req.header(EXPIRES_AT_HEADER);
  if (text === undefined) return null;
  if (!/^\d{1,15}$/.test(text) || Number(text) <= Date.now()) throw new Refusal("malformed");
  return Number(text);
}

// The tenant's key log: its head, its leaves and proofs, for every signed-in device of the tenant.

import { type Context, Hono } from "hono";
import * as v from "valibot";
import type { GrowthAnswer, InclusionAnswer, KeyHeadAnswer, KeyLeavesAnswer } from "../../schemas/api.ts";
import { fromBase64url, toBase64url } from "../../schemas/bytes.ts";
import { Refusal } from "../../schemas/refusal.ts";
import { type App, signedIn } from "../auth.ts";
import { readValue } from "../input.ts";
import { publishKeys } from "../publication.ts";
import { reach } from "../reach.ts";
import { keyLogStub } from "../residency.ts";

const Size = v.pipe(v.string(), v.regex(/^\d{1,9}$/), v.transform(Number));

const sizeOf = (c: Context<App>, name: string): number => readValue(Size, c.req.query(name));

export const keys = new Hono<App>()
  .get("/head", signedIn, async (c) => {
    const { caller } = c.var;
    // Whoever asks sees what has happened up to now, whatever was interrupted before
    await publishKeys(c.env, caller);
    const { size, root } = await reach(async () => keyLogStub(c.env, caller).head(caller));
    return c.json({ size, root: toBase64url(root) } satisfies v.InferOutput<typeof KeyHeadAnswer>);
  })
  .get("/leaves", signedIn, async (c) => {
    const { caller } = c.var;
    const { residency } = caller;
    const from = sizeOf(c, "from");
    const leaves = await reach(async () => keyLogStub(c.env, caller).leaves({ residency, from }));
    return c.json({ leaves: leaves.map(toBase64url) } satisfies v.InferOutput<typeof KeyLeavesAnswer>);
  })
  .get("/proof", signedIn, async (c) => {
    const { caller } = c.var;
    const { residency } = caller;
    const [hash, size] = [fromBase64url(c.req.query("leaf") ?? ""), sizeOf(c, "size")];
    if (hash?.length !== 32) throw new Refusal("malformed");
    const { index, proof } = await reach(async () => keyLogStub(c.env, caller).prove({ residency, hash, size }));
    return c.json({ index, hashes: proof.map(toBase64url) } satisfies v.InferOutput<typeof InclusionAnswer>);
  })
  .get("/growth", signedIn, async (c) => {
    const { caller } = c.var;
    const { residency } = caller;
    const [first, second] = [sizeOf(c, "first"), sizeOf(c, "second")];
    const hashes = await reach(async () => keyLogStub(c.env, caller).proveGrowth({ residency, first, second }));
    return c.json({ hashes: hashes.map(toBase64url) } satisfies v.InferOutput<typeof GrowthAnswer>);
  });

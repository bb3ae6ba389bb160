// The own device's stock of key packages, kept in its member's mailbox.

import { Hono } from "hono";
import { KeyPackagesBody } from "../../schemas/api.ts";
import { fromBase64url } from "../../schemas/bytes.ts";
import { type App, signedIn } from "../auth.ts";
import { readBody } from "../input.ts";
import { reach } from "../reach.ts";
import { mailboxStub } from "../residency.ts";

export const keyPackages = new Hono<App>().post("/", signedIn, async (c) => {
  const { caller } = c.var;
  const body = await readBody(c, KeyPackagesBody);
  const packages = body.packages.map(({ bytes, ...rest }) => ({
    ...rest,
    bytes: fromBase64url(bytes) ?? new Uint8Array(),
  }));
  await reach(async () => mailboxStub(c.env, caller).stock({ device: caller.device, packages }));
  return c.body(null, 204);
});

// The socket to the caller's own mailbox.

import { Hono } from "hono";
import type { App } from "../auth.ts";
import { forward } from "../forward.ts";
import { mailboxStub } from "../residency.ts";

export const mailbox = new Hono<App>().get("/socket", (c) => forward(c, (claims) => mailboxStub(c.env, claims)));

// The socket to the caller's own mailbox.

import { Hono } from "hono";
import type { App } from "../auth.ts";
import { mailboxStub } from "../residency.ts";
import { upgrade } from "../upgrade.ts";

export const mailbox = new Hono<App>().get("/socket", (c) => upgrade(c, (claims) => mailboxStub(c.env, claims)));

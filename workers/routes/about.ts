// What anybody may ask: how this server keeps data, and what it speaks.

import { Hono } from "hono";
import type * as v from "valibot";
import type { AboutAnswer } from "../../schemas/api.ts";
import { PROTOCOL_VERSIONS } from "../../schemas/frames.ts";
import type { App } from "../auth.ts";
import { residencyMode } from "../residency.ts";

const RELEASE = "0.1.0";

export const about = new Hono<App>().get("/", (c) =>
  c.json({
    product: "kuvert",
    release: RELEASE,
    protocols: [...PROTOCOL_VERSIONS],
    residency: residencyMode(c.env),
  } satisfies v.InferOutput<typeof AboutAnswer>),
);

// Owns the whole of the HTTP server: which route answers what, the one place where errors become answers, and the browser client's files.

import { type Context, Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { isRefusal, REFUSALS, type RefusalCode, type RefusalDetail } from "../schemas/refusal.ts";
import { type App, assertOrigin } from "./auth.ts";
import { API_HEADERS, PAGE_HEADERS } from "./headers.ts";
import { about } from "./routes/about.ts";
import { conversations } from "./routes/conversations.ts";
import { devices } from "./routes/devices.ts";
import { invites } from "./routes/invites.ts";
import { keyPackages } from "./routes/key-packages.ts";
import { keys } from "./routes/keys.ts";
import { links } from "./routes/links.ts";
import { mailbox } from "./routes/mailbox.ts";
import { members } from "./routes/members.ts";
import { operators } from "./routes/operator.ts";
import { passkeys } from "./routes/passkeys.ts";
import { recovery } from "./routes/recovery.ts";
import { shares } from "./routes/shares.ts";
import { challenges, tokens } from "./routes/sign-in.ts";
import { tenant } from "./routes/tenant.ts";
import { tenants } from "./routes/tenants.ts";
import { vault } from "./routes/vault.ts";
import { traceBug } from "./trace.ts";

/** Names of built files carry their content's digest. */
const HASHED = "/assets/";

export const app = new Hono<App>()
  .use("/api/*", async (c, next) => {
    assertOrigin(c.req.raw);
    await next();
    if (c.res.status === 101) return;
    for (const [name, value] of Object.entries(API_HEADERS)) c.header(name, value);
  })
  .route("/api/about", about)
  .route("/api/tenants", tenants)
  .route("/api/tenant", tenant)
  .route("/api/challenges", challenges)
  .route("/api/tokens", tokens)
  .route("/api/invites", invites)
  .route("/api/members", members)
  .route("/api/devices", devices)
  .route("/api/key-packages", keyPackages)
  .route("/api/conversations", conversations)
  .route("/api/mailbox", mailbox)
  .route("/api/vault", vault)
  .route("/api/recovery", recovery)
  .route("/api/passkeys", passkeys)
  .route("/api/links", links)
  .route("/api/keys", keys)
  .route("/api/operator", operators)
  .route("/api/shares", shares)
  .notFound((c) => (/^\/api(\/|$)/.test(c.req.path) ? refuse(c, "not_found") : file(c)))
  .onError((error, c) =>
    isRefusal(error)
      ? refuse(c, error.code, error.detail)
      : refuse(c, "internal", { reference: traceBug("request", error) }),
  );

function refuse(c: Context<App>, code: RefusalCode, detail: RefusalDetail = {}): Response {
  const { status, remedy } = REFUSALS[code];
  const headers: Record<string, string> = { ...API_HEADERS };
  if (typeof detail.retryAfter === "number") headers["retry-after"] = String(Math.ceil(detail.retryAfter / 1_000));
  return c.json({ code, remedy, detail }, status as ContentfulStatusCode, headers);
}

/** A file of the browser client; any other address is the client's own to understand, so it gets the page. */
async function file(c: Context<App>): Promise<Response> {
  if (c.req.method !== "GET" && c.req.method !== "HEAD") return refuse(c, "not_found");
  const found = await c.env.ASSETS.fetch(c.req.raw);
  const hashed = c.req.path.startsWith(HASHED);
  // A name of an older build: the page in place of a script would only break later and be kept for a year
  if (hashed && found.headers.get("content-type")?.startsWith("text/html")) return refuse(c, "not_found");
  const answer = new Response(found.body, found);
  for (const [name, value] of Object.entries(PAGE_HEADERS)) answer.headers.set(name, value);
  answer.headers.set("cache-control", hashed && found.ok ? "public, max-age=31536000, immutable" : "no-cache");
  return answer;
}

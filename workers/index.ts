// Placeholder that lets the toolchain run: answers nothing but its assets. The server takes this file over.

import { DurableObject } from "cloudflare:workers";

interface Env {
  readonly ASSETS: Fetcher;
}

export class ConversationObject extends DurableObject<Env> {}
export class MailboxObject extends DurableObject<Env> {}

export default {
  fetch: (request, env) => env.ASSETS.fetch(request),
} satisfies ExportedHandler<Env>;

// What the platform runs: the HTTP server and the kinds of object.

import { app } from "./app.ts";
import { ConversationObject } from "./conversation/object.ts";
import type { Env } from "./env.ts";
import { HeraldObject } from "./herald/object.ts";
import { KeyLogObject } from "./key-log/object.ts";
import { MailboxObject } from "./mailbox/object.ts";

export { ConversationObject, HeraldObject, KeyLogObject, MailboxObject };

export default { fetch: app.fetch } satisfies ExportedHandler<Env>;

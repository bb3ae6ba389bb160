// What the platform runs: the HTTP server and the three kinds of object.

import { app } from "./app.ts";
import { ConversationObject } from "./conversation/object.ts";
import type { Env } from "./env.ts";
import { KeyLogObject } from "./key-log/object.ts";
import { MailboxObject } from "./mailbox/object.ts";

export { ConversationObject, KeyLogObject, MailboxObject };

export default { fetch: app.fetch } satisfies ExportedHandler<Env>;

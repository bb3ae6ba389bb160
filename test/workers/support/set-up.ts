// Runs before every test file inside the runtime: gives it a directory with all tables.

import { applyD1Migrations, type D1Migration } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll } from "vitest";

declare global {
  namespace Cloudflare {
    interface GlobalProps {
      readonly mainModule: typeof import("../../../workers/index.ts");
      readonly durableNamespaces: "ConversationObject" | "HeraldObject" | "KeyLogObject" | "MailboxObject";
    }
    interface Env {
      readonly DIRECTORY: D1Database;
      /** Only in tests: what workers/directory/migrations holds. */
      readonly MIGRATIONS: D1Migration[];
    }
  }
}

beforeAll(() => applyD1Migrations(env.DIRECTORY, env.MIGRATIONS));

// Owns the stage of a browser test: a real server with a state of its own, Chromium, and the people who come and go.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { type ServeOptions, type Server, serve } from "../../../scripts/server.ts";
import { closeProfiles, launch, openProfile } from "./chromium.ts";
import { Person } from "./person.ts";

export interface Stage {
  readonly url: string;
  /** The same by the name of the host: WebAuthn knows no addresses. */
  readonly named: string;
  /** Somebody with an empty browser profile. */
  arrive(): Promise<Person>;
  /** Closes these people's profiles; nothing may have complained in any of them. */
  leaveAll(people: readonly Person[]): Promise<void>;
}

/** Sets the stage for the tests of a file, and strikes it after the last. */
export function setStage(name: string, options: Partial<ServeOptions> = {}): Stage {
  let state: string;
  let server: Server;
  let browser: Browser;
  beforeAll(async () => {
    state = mkdtempSync(join(tmpdir(), `kuvert-${name}-`));
    server = await serve({ port: 0, state, requestsPerMinute: 10_000, quiet: true, ...options });
    browser = await launch();
  });
  afterEach(() => closeProfiles(browser));
  afterAll(async () => {
    await browser?.close();
    await server?.stop();
    rmSync(state, { recursive: true, force: true });
  });
  return {
    get url() {
      return server.url;
    },
    get named() {
      return server.url.replace("127.0.0.1", "localhost");
    },
    arrive: async () => Person.at(await openProfile(browser)),
    leaveAll: async (people) => {
      const complaints = people.flatMap((person) => person.complaints);
      for (const { context } of people) await context.close();
      expect(complaints).toEqual([]);
    },
  };
}

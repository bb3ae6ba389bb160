// Owns the hooks that scenario files begin with: a real server for all tests of a file, and who meets there.

import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { Company } from "./company.ts";
import { Profiles } from "./profiles.ts";
import { type Circumstances, RealServer } from "./real-server.ts";

/** A server for the file, and on it a company of its own for each try of a test; `meet` is given both before each. */
export function eachWithCompany(
  meet: (company: Company, server: RealServer) => void,
  circumstances: Circumstances = {},
): void {
  let company: Company;
  eachWithServer((server) => {
    company = new Company(server.url);
    meet(company, server);
  }, circumstances);
  afterEach(() => company?.dispose());
}

/** A server for the file, and a set of profiles of its own for each try of a test; `meet` is given both before each. */
export function eachWithProfiles(meet: (profiles: Profiles, server: RealServer) => Promise<void> | void): void {
  let profiles: Profiles;
  eachWithServer(async (server) => {
    profiles = new Profiles();
    await meet(profiles, server);
  });
  afterEach(() => profiles?.dispose());
}

/** A server for the file that runs before each try of a test, whatever the one before has done to it. */
export function eachWithServer(
  meet: (server: RealServer) => Promise<void> | void,
  circumstances: Circumstances = {},
): void {
  let server: RealServer;
  beforeAll(async () => {
    server = await RealServer.start(circumstances);
  });
  afterAll(() => server?.dispose());
  beforeEach(async () => {
    await server.ensure();
    await meet(server);
  });
}

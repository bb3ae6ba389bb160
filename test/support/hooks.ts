// Owns the hooks that scenario files begin with: a real server for all tests of a file, and who meets there.

import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { Company } from "./company.ts";
import { Profiles } from "./profiles.ts";
import { type Circumstances, RealServer } from "./real-server.ts";

/** A server for the file, and on it a company of its own for each test; `meet` is given both before each. */
export function eachWithCompany(
  meet: (company: Company, server: RealServer) => void,
  circumstances: Circumstances = {},
): void {
  let server: RealServer;
  let company: Company;
  beforeAll(async () => {
    server = await RealServer.start(circumstances);
  });
  afterAll(() => server?.dispose());
  beforeEach(() => {
    company = new Company(server.url);
    meet(company, server);
  });
  afterEach(() => company.dispose());
}

/** A server and a set of profiles for the whole file; `meet` is given both before its first test. */
export function allWithProfiles(meet: (profiles: Profiles, server: RealServer) => void): void {
  const profiles = new Profiles();
  let server: RealServer;
  beforeAll(async () => {
    server = await RealServer.start();
    meet(profiles, server);
  });
  afterAll(async () => {
    await profiles.dispose();
    await server?.dispose();
  });
}

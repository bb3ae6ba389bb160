// Owns the leaving of members, devices and identity keys once D1 has them out: hands each over to the mailbox, which closes sockets and tells the
// conversations, and notes that it has. What was not confirmed is taken up again at the tenant's next sign-in.

import type { DeviceId, MemberId, TenantId } from "../schemas/ids.ts";
import type { Residency } from "../schemas/policy.ts";
import { expelDevice, listUnexpelled } from "./directory/devices.ts";
import { closeMember, listUnclosed } from "./directory/members.ts";
import { listSeats } from "./directory/participants.ts";
import { listUnemptied, noteEmptied } from "./directory/returns.ts";
import type { Env } from "./env.ts";
import { reach } from "./reach.ts";
import { mailboxStub } from "./residency.ts";
import { forgetStanding } from "./standing.ts";
import { emptyVault } from "./vault.ts";

interface Home {
  readonly tenant: TenantId;
  readonly residency: Residency;
}

/** Closes the mailbox of a removed member and has it dismissed from every conversation. May be repeated. @throws {Refusal} unavailable */
export async function departMember(env: Env, home: Home, member: MemberId): Promise<void> {
  const { tenant } = home;
  forgetStanding(tenant);
  const conversations = await listSeats(tenant, env.DIRECTORY, member);
  await reach(async () => mailboxStub(env, { ...home, member }).close({ conversations: [...conversations] }));
  await emptyVault(env, { ...home, member }, Date.now());
  await closeMember(tenant, env.DIRECTORY, { member, now: Date.now() });
}

/** Has a revoked device expelled from its member's mailbox and conversations. May be repeated. @throws {Refusal} unavailable */
export async function departDevice(
  env: Env,
  home: Home,
  { member, device }: { readonly member: MemberId; readonly device: DeviceId },
): Promise<void> {
  const { tenant } = home;
  forgetStanding(tenant);
  const conversations = await listSeats(tenant, env.DIRECTORY, member);
  await reach(async () => mailboxStub(env, { ...home, member }).expel({ device, conversations: [...conversations] }));
  await expelDevice(tenant, env.DIRECTORY, { device, now: Date.now() });
}

/** Destroys what is left of a member's time under an earlier identity key. May be repeated. @throws {Refusal} unavailable */
async function departKey(env: Env, home: Home, gone: { member: MemberId; returnedAt: number }): Promise<void> {
  const { member, returnedAt } = gone;
  await emptyVault(env, { ...home, member }, returnedAt);
  await noteEmptied(home.tenant, env.DIRECTORY, { member, returnedAt, now: Date.now() });
}

/** Takes up every departure of a tenant that an earlier request could not finish. @throws {Refusal} unavailable */
export async function sweepDepartures(env: Env, home: Home): Promise<void> {
  for (const gone of await listUnemptied(home.tenant, env.DIRECTORY)) await departKey(env, home, gone);
  for (const member of await listUnclosed(home.tenant, env.DIRECTORY)) await departMember(env, home, member);
  for (const gone of await listUnexpelled(home.tenant, env.DIRECTORY)) await departDevice(env, home, gone);
}

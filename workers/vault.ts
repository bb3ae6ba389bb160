// Owns the vault: sealed objects of members, bytes in R2 under their tenant's residency, room counted in D1. The only place that
// touches R2. Cannot read what it keeps.

import type { Shelf } from "../schemas/api.ts";
import type { MemberId, TenantId, VaultId } from "../schemas/ids.ts";
import { LIMITS, type Residency } from "../schemas/policy.ts";
import { Refusal } from "../schemas/refusal.ts";
import {
  findObject,
  holdsObject,
  listAllOf,
  listExpired,
  listExpiredOf,
  listObjects,
  release,
  reserve,
  type VaultRow,
} from "./directory/vault-objects.ts";
import type { Env } from "./env.ts";
import { reach } from "./reach.ts";
import { mailboxStub } from "./residency.ts";
import { traceBug } from "./trace.ts";

/** Whose vault. */
export interface Owner {
  readonly tenant: TenantId;
  readonly residency: Residency;
  readonly member: MemberId;
}

interface Address {
  readonly shelf: Shelf;
  readonly id: VaultId;
}

/** What must be true of the object that is there now: it has this tag, or (`null`) there is none. `undefined`: nothing. */
export type Expected = string | null | undefined;

/**
 * Stores an object and returns its tag. `expiresAt` in ms: from then on it is gone. On a handover's shelf nothing lies longer than a day.
 * @throws {Refusal} too_large; quota — no room left in this member's vault; conflict — not what was `expected`, or the id lies on
 * another shelf; unavailable
 */
export async function putObject(
  env: Env,
  owner: Owner,
  object: Address & { readonly bytes: Uint8Array; readonly expiresAt: number | null; readonly expected: Expected },
): Promise<string> {
  const { shelf, id, bytes, expiresAt, expected } = object;
  if (bytes.length > LIMITS.vaultObjectBytes) throw new Refusal("too_large");
  const { tenant, member } = owner;
  const now = Date.now();
  // An object that has expired is not there, even while its bytes are
  if ((await findObject(tenant, env.DIRECTORY, { member, shelf, id, now })) === undefined) {
    await deleteObject(env, owner, { shelf, id });
  }
  const key = keyOf(owner, id);
  if (expected !== undefined) await assertExpected(env, key, expected);
  const room = { member, shelf, id, now };
  const kept = await reserve(tenant, env.DIRECTORY, { ...room, size: bytes.length, expiresAt });
  if (kept === undefined) {
    throw new Refusal((await holdsObject(tenant, env.DIRECTORY, { member, id })) ? "conflict" : "quota");
  }
  // Before there is a byte that would have to go
  const goesAt = kept.expiresAt;
  if (goesAt !== null) await reach(async () => mailboxStub(env, owner).expire(goesAt));
  const customMetadata = { expiresAt: String(goesAt) };
  const stored = await bucket(() => env.VAULT.put(key, bytes, { ...conditionOf(expected), customMetadata }));
  if (stored !== null) return stored.etag;
  // Somebody else was faster: the row must tell of what they stored
  const theirs = await bucket(() => env.VAULT.head(key));
  const theirExpiry = JSON.parse(theirs?.customMetadata?.expiresAt ?? "null");
  if (theirs) await reserve(tenant, env.DIRECTORY, { ...room, size: theirs.size, expiresAt: theirExpiry });
  throw new Refusal("conflict");
}

/** An object's bytes and tag. @throws {Refusal} not_found — absent, expired or somebody else's, never told apart; unavailable */
export async function getObject(
  env: Env,
  owner: Owner,
  { shelf, id }: Address,
): Promise<{ readonly body: ReadableStream; readonly size: number; readonly etag: string }> {
  const { tenant, member } = owner;
  const row = await findObject(tenant, env.DIRECTORY, { member, shelf, id, now: Date.now() });
  const object = row && (await bucket(() => env.VAULT.get(keyOf(owner, id))));
  if (object == null) throw new Refusal("not_found");
  return { body: object.body, size: object.size, etag: object.etag };
}

/** What lies on a shelf. @throws {Refusal} unavailable */
export function listShelf(env: Env, { tenant, member }: Owner, shelf: Shelf): Promise<readonly VaultRow[]> {
  return listObjects(tenant, env.DIRECTORY, { member, shelf, now: Date.now() });
}

/** Destroys an object. Nothing says whether there was one. @throws {Refusal} unavailable */
export async function deleteObject(env: Env, owner: Owner, { shelf, id }: Address): Promise<void> {
  const { tenant, member } = owner;
  const row = await findObject(tenant, env.DIRECTORY, { member, shelf, id, now: 0 });
  if (row !== undefined) await destroy(env, owner, [id]);
}

/** Destroys everything a member has put into its vault up to `until`. May be repeated. @throws {Refusal} unavailable */
export async function emptyVault(env: Env, owner: Owner, until: number): Promise<void> {
  const { tenant, member } = owner;
  await destroy(env, owner, await listAllOf(tenant, env.DIRECTORY, { member, until }));
}

/** Destroys what has expired in a member's vault by `now` (ms). May be repeated. @throws {Refusal} unavailable */
export async function destroyExpired(env: Env, owner: Owner, now: number): Promise<void> {
  const { tenant, member } = owner;
  for (;;) {
    const ids = await listExpiredOf(tenant, env.DIRECTORY, { member, now });
    if (ids.length === 0) return;
    await destroy(env, owner, ids);
  }
}

/** Destroys what has expired in a tenant's vaults, some at a time. May be repeated. @throws {Refusal} unavailable */
export async function sweepVault(env: Env, { tenant, residency }: Pick<Owner, "tenant" | "residency">): Promise<void> {
  for (const { member, id } of await listExpired(tenant, env.DIRECTORY, Date.now())) {
    await destroy(env, { tenant, residency, member }, [id]);
  }
}

/** Bytes first: what is not counted any more must not be there any more. */
async function destroy(env: Env, owner: Owner, ids: readonly VaultId[]): Promise<void> {
  const { tenant, member } = owner;
  for (let start = 0; start < ids.length; start += DELETIONS) {
    const some = ids.slice(start, start + DELETIONS);
    await bucket(() => env.VAULT.delete(some.map((id) => keyOf(owner, id))));
    await release(tenant, env.DIRECTORY, { member, ids: some });
  }
}

/** R2 deletes at most 1,000 keys in one call, D1 runs at most 100 statements comfortably in one batch. */
const DELETIONS = 100;

function keyOf({ residency, tenant, member }: Owner, id: VaultId): string {
  return `${residency}/${tenant}/${member}/${id}`;
}

/** R2 decides by this in the moment it stores. */
function conditionOf(expected: Expected): { readonly onlyIf?: R2Conditional } {
  if (expected === undefined) return {};
  return { onlyIf: expected === null ? { etagDoesNotMatch: "*" } : { etagMatches: expected } };
}

/** Says no early, before anything is counted. @throws {Refusal} conflict; unavailable */
async function assertExpected(env: Env, key: string, expected: string | null): Promise<void> {
  const there = await bucket(() => env.VAULT.head(key));
  if ((there?.etag ?? null) !== expected) throw new Refusal("conflict");
}

async function bucket<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw new Refusal("unavailable", { reference: traceBug("vault", error) });
  }
}

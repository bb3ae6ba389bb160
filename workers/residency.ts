// The one door to Durable Objects: decides under which jurisdiction an object of a tenant lives, and fails closed.
// Knows nothing of what the objects do.

import type { ConversationId, MemberId, TenantId } from "../schemas/ids.ts";
import type { Residency } from "../schemas/policy.ts";
import { Refusal } from "../schemas/refusal.ts";
import type { Env } from "./env.ts";

interface Home {
  readonly tenant: TenantId;
  readonly residency: Residency;
}

/** How this deployment keeps residency; whatever is not exactly `simulated` is the platform, which fails closed. */
export function residencyMode(env: Pick<Env, "RESIDENCY">): "platform" | "simulated" {
  return env.RESIDENCY === "simulated" ? "simulated" : "platform";
}

/** The object of a conversation. On the platform an `eu` tenant's is only ever reached through the `eu` jurisdiction. */
export function conversationStub(env: Env, home: Home & { readonly conversation: ConversationId }) {
  return stubOf(env, env.CONVERSATIONS, home, home.conversation);
}

/** The object of a tenant's herald, under the same rule as {@link conversationStub}. */
export function heraldStub(env: Env, home: Home) {
  return stubOf(env, env.HERALDS, home, "herald");
}

/** The object of a tenant's key log, under the same rule as {@link conversationStub}. */
export function keyLogStub(env: Env, home: Home) {
  return stubOf(env, env.KEY_LOGS, home, "keys");
}

/** The object of a member's mailbox, under the same rule as {@link conversationStub}. */
export function mailboxStub(env: Env, home: Home & { readonly member: MemberId }) {
  return stubOf(env, env.MAILBOXES, home, home.member);
}

/**
 * The object's own check that it runs where its tenant's data must be.
 * @throws {Refusal} wrong_residency — this instance lives elsewhere than `residency` says
 */
export function assertResidency(
  ctx: Pick<DurableObjectState, "id">,
  env: Pick<Env, "RESIDENCY">,
  residency: Residency,
): void {
  const home =
    residencyMode(env) === "simulated"
      ? ctx.id.name?.startsWith(`${residency}:`) === true
      : ctx.id.jurisdiction === (residency === "global" ? undefined : residency);
  if (!home) throw new Refusal("wrong_residency");
}

function stubOf<T extends Rpc.DurableObjectBranded>(
  env: Env,
  namespace: DurableObjectNamespace<T>,
  { tenant, residency }: Home,
  id: string,
): DurableObjectStub<T> {
  const name = `${tenant}/${id}`;
  if (residencyMode(env) === "simulated") return namespace.getByName(`${residency}:${name}`);
  switch (residency) {
    case "eu":
      return namespace.jurisdiction("eu").getByName(name);
    case "global":
      return namespace.getByName(name);
    default:
      throw new Refusal("wrong_residency");
  }
}

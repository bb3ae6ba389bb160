// Owns every HTTP request to the server: one typed method per route, answers checked against the contract. Knows no state.

import type * as v from "valibot";
import type * as body from "../../schemas/api.ts";
import type { ConversationId, DeviceId, InviteId, MemberId } from "../../schemas/ids.ts";
import type { Policy } from "../../schemas/policy.ts";
import type { Tokens } from "./token.ts";

type In<Schema extends v.GenericSchema> = v.InferInput<Schema>;
type Out<Schema extends v.GenericSchema> = v.InferOutput<Schema>;
export type TokenAnswer = Out<typeof body.TokenAnswer>;

/** What needs no account. Every method may be refused with any code of the contract, and with `unavailable` when there is no answer or none that can be read. */
export interface Door {
  about(): Promise<Out<typeof body.AboutAnswer>>;
  signUp(request: In<typeof body.SignupBody>): Promise<TokenAnswer>;
  lookAtInvite(request: In<typeof body.InviteLookBody>): Promise<Out<typeof body.InviteLookAnswer>>;
  join(request: In<typeof body.JoinBody>): Promise<TokenAnswer>;
  challenge(request: In<typeof body.ChallengeBody>): Promise<Out<typeof body.ChallengeAnswer>>;
  signIn(request: In<typeof body.SignInBody>): Promise<TokenAnswer>;
}

/** What a signed-in device may ask. Refusals as for {@link Door}; a token the server no longer takes is replaced once, silently. */
export interface Api {
  tenant(): Promise<Out<typeof body.TenantAnswer>>;
  setPolicy(policy: Policy): Promise<void>;
  createInvite(request: In<typeof body.InviteBody>): Promise<void>;
  invites(): Promise<Out<typeof body.InvitesAnswer>["invites"]>;
  revokeInvite(invite: InviteId): Promise<void>;
  members(): Promise<Out<typeof body.MembersAnswer>["members"]>;
  setRole(member: MemberId, role: "admin" | "member"): Promise<void>;
  removeMember(member: MemberId): Promise<void>;
  /** Own devices, or for admins those of `member`. */
  devices(member?: MemberId): Promise<Out<typeof body.DevicesAnswer>["devices"]>;
  revokeDevice(device: DeviceId): Promise<void>;
  stockKeyPackages(packages: In<typeof body.KeyPackagesBody>["packages"]): Promise<void>;
  claimKeyPackages(member: MemberId): Promise<Out<typeof body.ClaimAnswer>["packages"]>;
  found(request: { readonly id: ConversationId; readonly members: MemberId[] }): Promise<void>;
  conversations(): Promise<Out<typeof body.ConversationsAnswer>["conversations"]>;
  admit(conversation: ConversationId, member: MemberId): Promise<void>;
  dismiss(conversation: ConversationId, member: MemberId): Promise<void>;
}

export interface DoorOptions {
  /** Origin of the server, such as `https://kuvert.example`. */
  readonly server: string;
  readonly fetch?: typeof fetch;
  /** Gives up on an answer after this many ms. */
  readonly timeout?: number;
}
export declare function createDoor(options: DoorOptions): Door;
export declare function createApi(options: DoorOptions & { readonly tokens: Tokens }): Api;

// Owns the shapes the engine shows to whoever draws it: plain data that crosses postMessage and JSON unchanged. No logic.

import type { DeviceKind } from "../../schemas/api.ts";
import type { ConversationId, DeviceId, InviteId, MemberId, PasskeyId, TenantId } from "../../schemas/ids.ts";
import type { Policy, Residency, Role } from "../../schemas/policy.ts";
import type { RefusalCode } from "../../schemas/refusal.ts";

/** How the device stands towards the server. `connecting` also while waiting to retry; `offline` when the platform says so. */
export type Connection = "connecting" | "online" | "offline";

/** What a person sees first. `fresh`: no account in this profile; `ended`: signed out for good, `code` says why. */
export type Phase = "loading" | "fresh" | "ready" | "ended";

export interface MemberView {
  readonly id: MemberId;
  readonly name: string;
  readonly role: Role;
  readonly removed: boolean;
  readonly key: KeyState;
}

/**
 * How a member's key stands here. `unknown`: never seen, or one's own; `known`; `verified`: compared by a person; `changed`: another one than before,
 * which nobody has looked at here.
 */
export type KeyState = "unknown" | "known" | "verified" | "changed";

/**
 * Why nothing is sent for now. `changed`: a person had verified these members' keys, they are others now, and a person has to look; `leaving`: devices
 * of these members are out and have not been taken out of the group yet, which needs nobody's help; `outside`: this device has long tried to get
 * (back) into the conversation's group and is not in, so that nothing is received either.
 */
export interface HoldView {
  readonly reason: "changed" | "leaving" | "outside";
  readonly members: readonly MemberId[];
}

/** `joining`: founded or invited, not yet readable here; `ended`: left or removed; `broken`: the server's log failed a check. */
export type ConversationState = "joining" | "active" | "ended" | "broken";

/**
 * Why the log of a conversation is believed no more. `altered`: its hash does not hold; `rolled_back`: it ends before what was read here;
 * `contradicted`: somebody else was shown another one; `forked`: others are in another group than this device.
 */
export type LogFault = "altered" | "rolled_back" | "contradicted" | "forked";

export interface ConversationView {
  readonly id: ConversationId;
  /** Title chosen by its people, null for none (a one-to-one conversation has none). */
  readonly title: string | null;
  readonly kind: "direct" | "group";
  readonly members: readonly MemberId[];
  readonly createdBy: MemberId | null;
  readonly state: ConversationState;
  /** Null unless the state is `broken`. */
  readonly fault: LogFault | null;
  readonly unread: number;
  readonly pinned: boolean;
  /** Null when not muted; `until` by the local clock in ms, null for as long as nobody says otherwise. */
  readonly muted: { readonly until: number | null } | null;
  /** What is being written on this device and not sent; empty for nothing. */
  readonly draft: string;
  /** Newest line for the list; null when there is none or it has expired. */
  readonly last: { readonly from: MemberId | null; readonly text: string; readonly at: number } | null;
  /** Default life of a message in ms; null = until the tenant's retention. */
  readonly expiresIn: number | null;
  readonly activeAt: number;
  /** Why nothing is sent for now; null when nothing keeps it. */
  readonly held: HoldView | null;
}

/** `waiting`: in the outbox; `sent`: stored by the server; `delivered`: every member has it; `failed`: refused for good. */
export type MessageState = "waiting" | "sent" | "delivered" | "failed" | "received";

export type Notice =
  | { readonly kind: "created" }
  | { readonly kind: "added"; readonly members: readonly MemberId[] }
  | { readonly kind: "removed"; readonly members: readonly MemberId[] }
  | { readonly kind: "left" }
  | { readonly kind: "titled"; readonly title: string | null }
  | { readonly kind: "timer"; readonly expiresIn: number | null }
  | { readonly kind: "rekeyed"; readonly member: MemberId }
  | { readonly kind: "renewed" }
  | { readonly kind: "missed" }
  | { readonly kind: "contradicted" }
  | { readonly kind: "unreadable" };

/** One line of a timeline: a text, or a notice of something that happened. `key` is stable from the moment of sending. */
export interface MessageView {
  readonly key: string;
  readonly seq: number | null;
  readonly from: MemberId | null;
  readonly mine: boolean;
  readonly at: number;
  readonly body: { readonly kind: "text"; readonly text: string } | Notice;
  readonly state: MessageState;
  readonly refusal: RefusalCode | null;
  /** Local-clock time of destruction in ms, null for none. */
  readonly expiresAt: number | null;
}

export interface DeviceView {
  readonly id: DeviceId;
  readonly name: string;
  /** Null for a device that has not said yet. */
  readonly kind: DeviceKind | null;
  readonly createdAt: number;
  readonly lastUsedAt: number;
  readonly revoked: boolean;
  readonly own: boolean;
  /** Its app lock has seen too many wrong tries. */
  readonly lockedOut: boolean;
}

export interface InviteView {
  readonly id: InviteId;
  readonly role: Role;
  readonly usesLeft: number;
  readonly expiresAt: number;
  readonly revoked: boolean;
  /** Whom it lets in again; null when it is for whoever is new. */
  readonly member: MemberId | null;
  /** Whoever runs the server has made it. */
  readonly byOperator: boolean;
}

export interface Account {
  readonly tenant: { readonly id: TenantId; readonly name: string; readonly residency: Residency };
  readonly member: { readonly id: MemberId; readonly name: string; readonly role: Role };
  readonly device: DeviceId;
}

/**
 * How well a member is kept from losing everything. `phrase`: `unconfirmed` until a person has entered some of its words, `elsewhere` when only
 * another device knows it. `backup`: `current`, or
 * `waiting` for a change to go in; `elsewhere` while another device keeps it; `distrusted` when what the server shows is not what was there.
 */
export interface SafekeepingView {
  readonly phrase: "none" | "elsewhere" | "unconfirmed" | "confirmed";
  readonly backup: "none" | "current" | "waiting" | "elsewhere" | "distrusted";
}

/**
 * A further device on its way in. On the device that has the account: `shown` a code (`expiresAt` by the local clock), `answered` by a device with
 * this name, whose digits a person compares, `handing` over, with so many of the
 * parts of its history (`total` 0: not counted yet), `handed` over. On the new one: `entering`, no digits yet; `entered`, digits to compare;
 * `arriving`, with so many of the parts of its history. On either: `over`, with the refusal that ended it, `not_found` when time ran out or somebody called it off.
 */
export type LinkingView =
  | { readonly kind: "shown"; readonly code: string; readonly address: string; readonly expiresAt: number }
  | { readonly kind: "answered"; readonly name: string; readonly digits: string; readonly expiresAt: number }
  | { readonly kind: "handing"; readonly name: string; readonly done: number; readonly total: number }
  | { readonly kind: "handed"; readonly name: string }
  | { readonly kind: "entering" }
  | { readonly kind: "entered"; readonly digits: string }
  | { readonly kind: "arriving"; readonly done: number; readonly total: number }
  | { readonly kind: "over"; readonly code: RefusalCode };

/**
 * Somebody plays tricks with keys, which nothing honest looks like. `ghost`: a device was to be slipped in as one of `member`'s; `swapped`: another
 * identity key was shown for `member`; `rolled_back`: the tenant's key log is shorter than it was; `forked`: it has another past than this
 * device, or `member`, has seen; `unusable`: a key that nobody can use was handed out for a device of `member`'s; `unreadable`: the log has an
 * entry that this build cannot read, said once. None of it was believed. `at` by the server's clock, in ms.
 */
export interface FindingView {
  readonly id: string;
  readonly kind: "ghost" | "swapped" | "rolled_back" | "forked" | "unusable" | "unreadable";
  readonly member: MemberId | null;
  readonly at: number;
}

/**
 * One entry of the tenant's key log. `rekeyed`: a member has another identity key than before, with which all earlier devices are out. `problem`, null for
 * none: `uncertified`, not certified by its member; `twice`, there already; `nobody`, of a member or device that is not there; `unreadable`.
 */
export interface KeyEventView {
  readonly index: number;
  readonly kind: "member" | "rekeyed" | "device" | "revoked" | "removed" | "unknown";
  readonly member: MemberId | null;
  readonly device: DeviceId | null;
  readonly problem: "unreadable" | "uncertified" | "twice" | "nobody" | null;
}

/**
 * The tenant's key log, replayed from nothing. `root` in hex. Problems: `incomplete`, `wrong_head`: the server's entries are not what its head stands
 * for; `rolled_back`, `forked`: they do not go on from what this device has seen; `bad_leaf`: an entry has a problem.
 */
export interface KeyAuditView {
  readonly size: number;
  readonly root: string;
  readonly events: readonly KeyEventView[];
  readonly problems: readonly ("incomplete" | "wrong_head" | "rolled_back" | "forked" | "bad_leaf")[];
}

/** Everything but timelines. Conversations: pinned ones first, then newest activity first; members by name. */
export interface Snapshot {
  readonly phase: Phase;
  readonly code: RefusalCode | null;
  readonly connection: Connection;
  readonly account: Account | null;
  readonly policy: Policy | null;
  /** `simulated` when this server only imitates residency (a local start); null until asked. */
  readonly residency: "platform" | "simulated" | null;
  /** Null without an account. */
  readonly safekeeping: SafekeepingView | null;
  /** Null while no device is on its way in. */
  readonly linking: LinkingView | null;
  readonly conversations: readonly ConversationView[];
  readonly members: readonly MemberView[];
  /** What nobody has taken note of yet, oldest first. */
  readonly findings: readonly FindingView[];
}

/**
 * How another member's key stands here. `number`: 60 digits that both see alike; `code`: what the other one can scan; `since`, `verifiedAt`: when this
 * key was first seen, and compared by a person, in ms; `wasVerified`: changed, and the one before had been compared; `contradicted`: the
 * server's directory names a key that the key log never had.
 */
export interface SafetyView {
  readonly number: string;
  readonly code: string;
  readonly state: KeyState;
  readonly since: number;
  readonly verifiedAt: number | null;
  readonly wasVerified: boolean;
  readonly contradicted: boolean;
}

/** What a scanned code says: the keys agree; they do not; it is a code for somebody else; it is no such code. */
export type ScanOutcome = "match" | "mismatch" | "other_person" | "unreadable";

/** One's own passkey. `credential`: what its authenticator and the browser call it; `usedAt` in ms, null while nobody has come back by it. */
export interface PasskeyView {
  readonly id: PasskeyId;
  readonly name: string;
  readonly credential: string;
  readonly createdAt: number;
  readonly usedAt: number | null;
}

/** What the page needs to make a passkey (WebAuthn); `taken`: credentials that are among one's passkeys already. Bytes as base64url here and below. */
export interface PasskeyOffer {
  readonly challenge: string;
  readonly user: { readonly id: string; readonly name: string };
  readonly taken: readonly string[];
}

/** A passkey that the page has made. `secret`: the 32 bytes of its PRF extension, which never leave the browser. */
export interface NewPasskey {
  readonly credential: string;
  readonly clientData: string;
  readonly attestation: string;
  readonly secret: string;
}

/** What a passkey has answered to a challenge; `secret` as in {@link NewPasskey}. */
export interface PasskeyAnswer {
  readonly credential: string;
  readonly user: string;
  readonly clientData: string;
  readonly authenticatorData: string;
  readonly signature: string;
  readonly secret: string;
}

/** How a conversation is encrypted right now, for the panel that explains it. */
export interface EncryptionView {
  readonly suite: string;
  readonly epoch: number;
  readonly devices: readonly { readonly member: MemberId; readonly device: DeviceId; readonly certified: boolean }[];
  /** Short code both ends can compare: the epoch authenticator (RFC 9420 §8.7), as groups of digits. */
  readonly code: string;
}

/** What the holder of an invite link sees before joining. */
export interface InvitePreview {
  readonly organisation: string;
  /** Null for whoever runs the server. */
  readonly inviter: string | null;
  readonly role: Role;
  readonly residency: Residency;
  /** Who comes back by it; null when it is for whoever is new. */
  readonly returning: string | null;
}

/** `snapshot`: read {@link Engine.snapshot} again; `timeline`: this conversation's lines changed; `message`: one new text from another came in. */
export type EngineEvent =
  | { readonly type: "snapshot" }
  | { readonly type: "timeline"; readonly conversation: ConversationId }
  | { readonly type: "message"; readonly conversation: ConversationId; readonly message: MessageView };

/** What drawing code may ask of the engine; the browser's worker proxy, the CLI and tests all speak this. Every method may throw a refusal. */
export interface Engine {
  snapshot(): Snapshot;
  on(listener: (event: EngineEvent) => void): () => void;
  signUp(input: { organisation: string; name: string; deviceName: string; residency?: Residency }): Promise<void>;
  previewInvite(link: string): Promise<InvitePreview>;
  join(input: { link: string; name: string; deviceName: string }): Promise<void>;
  /** Makes an invite and returns its link; the secret is in the link's fragment only. `expiresIn` in ms. */
  invite(input: { role: "admin" | "member"; uses: number; expiresIn: number }): Promise<string>;
  /** Makes a link by which a member who lost everything comes back: once used, everything that member had is out. `expiresIn` in ms. */
  inviteAgain(member: MemberId, expiresIn: number): Promise<string>;
  invites(): Promise<readonly InviteView[]>;
  revokeInvite(invite: InviteId): Promise<void>;
  /** What holds for every message of the company from now on; for owner and admins, as the next two. */
  setPolicy(policy: Policy): Promise<void>;
  setRole(member: MemberId, role: "admin" | "member"): Promise<void>;
  /** Puts a member out of the company, with all devices and from every conversation. */
  removeMember(member: MemberId): Promise<void>;
  /** Founds a conversation; two people without a title make a direct one, and the same two get the same one again. */
  create(input: { title: string | null; members: readonly MemberId[] }): Promise<ConversationId>;
  add(conversation: ConversationId, members: readonly MemberId[]): Promise<void>;
  remove(conversation: ConversationId, member: MemberId): Promise<void>;
  leave(conversation: ConversationId): Promise<void>;
  /** Resolves with the message's key once the intent is durable here; the timeline tells the rest. `expiresIn` undefined = the conversation's default. */
  send(conversation: ConversationId, text: string, expiresIn?: number | null): Promise<string>;
  /** Keeps what is being written, on this device alone; empty for nothing. */
  keepDraft(conversation: ConversationId, text: string): Promise<void>;
  /** Retries a failed message, or drops it. */
  retry(conversation: ConversationId, key: string): Promise<void>;
  discard(conversation: ConversationId, key: string): Promise<void>;
  rename(conversation: ConversationId, title: string): Promise<void>;
  expire(conversation: ConversationId, expiresIn: number | null): Promise<void>;
  /** Lines oldest first, at most `limit`, ending before the line `before` (a key) or at the newest. */
  timeline(conversation: ConversationId, page?: { before?: string; limit?: number }): Promise<readonly MessageView[]>;
  /** Marks all up to the newest line as read and keeps this conversation's socket open. */
  read(conversation: ConversationId): Promise<void>;
  /** Keeps a conversation at the top of the list, on all devices of this member, or no longer. */
  pin(conversation: ConversationId, isPinned: boolean): Promise<void>;
  /** Mutes a conversation on all devices of this member until a time of the local clock, in ms, or null for good. */
  mute(conversation: ConversationId, until: number | null): Promise<void>;
  unmute(conversation: ConversationId): Promise<void>;
  encryption(conversation: ConversationId): Promise<EncryptionView>;
  safety(member: MemberId): Promise<SafetyView>;
  /** A person has compared the safety number with this member's, or takes that back; or goes on with a changed key without comparing. */
  verify(member: MemberId, isVerified: boolean): Promise<void>;
  /** Compares what was scanned from this member's screen; a match counts as compared by a person. */
  scanSafety(member: MemberId, scanned: string): Promise<ScanOutcome>;
  /** Replays the tenant's key log from its beginning. */
  auditKeys(): Promise<KeyAuditView>;
  /** A person has taken note of a finding: it is shown no more. */
  noteFinding(finding: string): Promise<void>;
  /** Own devices, or for owner and admins those of `member`. */
  devices(member?: MemberId): Promise<readonly DeviceView[]>;
  /** Signs a device out for good: an own one, or for owner and admins anybody's but the owner's. */
  revokeDevice(device: DeviceId): Promise<void>;
  renameDevice(device: DeviceId, name: string): Promise<void>;
  /** Lets passphrases be tried again at the app lock of an own device. */
  releaseDevice(device: DeviceId): Promise<void>;
  /** Shows a code for one further device; {@link Snapshot.linking} tells the rest. An earlier code is of no use any more. */
  offerLink(): Promise<void>;
  /** A person has found the digits of the device that answered equal to those here: hands over the member, history and all. */
  confirmLink(): Promise<void>;
  /** Calls off what {@link Snapshot.linking} shows, on whichever side, or puts away how it ended. */
  cancelLink(): Promise<void>;
  /**
   * Makes this empty profile a further device of the member whose code this is, or the address in its QR code. Resolves when all is here. Opened
   * again before that, the profile goes on by itself until the code's time is over.
   */
  link(input: { code: string; deviceName: string }): Promise<void>;
  /** The words that bring back everything: those not confirmed yet, or new ones in place of any earlier. */
  recoveryWords(): Promise<readonly string[]>;
  /** Whether these (three at least, places counted from 1) are among the words; then they are not shown again. */
  confirmWords(entered: readonly { readonly place: number; readonly word: string }[]): Promise<boolean>;
  /** Makes this empty profile a new device of the member whose words these are. Resolves when all is here. */
  recover(input: { phrase: string; deviceName: string }): Promise<void>;
  /** One's own passkeys, each a second way to what the words bring back. */
  passkeys(): Promise<readonly PasskeyView[]>;
  /** What the page needs to make one. Refused with `conflict` on a device that does not know the words' key. */
  offerPasskey(): Promise<PasskeyOffer>;
  addPasskey(input: { name: string; made: NewPasskey }): Promise<void>;
  removePasskey(passkey: PasskeyId): Promise<void>;
  /** What to give a passkey on this empty profile, so that its answer is one for {@link recoverByPasskey}. */
  passkeyChallenge(): Promise<string>;
  /** Makes this empty profile a new device of the member whose passkey has answered. Resolves when all is here. */
  recoverByPasskey(input: { answer: PasskeyAnswer; deviceName: string }): Promise<void>;
  /** Brings the sealed backup up to date now; how that went is in {@link Snapshot.safekeeping}. */
  backUp(): Promise<void>;
  /** Resolves when the outbox is empty and every known conversation is caught up, or rejects after `timeout` ms. */
  settled(timeout: number): Promise<void>;
  close(): Promise<void>;
}

// Owns the bodies of every HTTP request and answer (JSON; byte strings as base64url). PROTOCOL.md lists the routes.

import * as v from "valibot";
import { fromBase64url } from "./bytes.ts";
import {
  ConversationId,
  DeviceId,
  GrantId,
  HandoverId,
  InviteId,
  LinkId,
  MemberId,
  PasskeyId,
  RecoveryId,
  TenantId,
  VaultId,
} from "./ids.ts";
import { LIMITS, Policy, Residency, Role } from "./policy.ts";

/** base64url text of exactly `length` bytes, or of 1 to `limit` bytes. */
const base64url = (test: (length: number) => boolean) =>
  v.pipe(
    v.string(),
    v.maxLength(LIMITS.bodyBytes),
    v.check((text) => test(fromBase64url(text)?.length ?? -1)),
  );
const Key = base64url((length) => length === 32);
const Signature = base64url((length) => length === 64);
const Blob = base64url((length) => length > 0 && length <= 4096);
const Secret = base64url((length) => length === 32);

/** A name people see: 1 to 80 characters, no control characters, no surrounding space. */
export const Name = v.pipe(
  v.string(),
  v.transform((name) => name.normalize("NFC").trim()),
  v.minLength(1),
  v.maxLength(LIMITS.nameCharacters),
  v.regex(/^[^\p{Cc}\p{Cs}]+$/u),
);
const Time = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/**
 * The server's part of what opens the device's store at rest, and the SHA-256 of the secret it will be asked for with. It comes with the
 * introduction, so that nothing needs to be written unsealed before.
 */
const NewShare = v.strictObject({ unlockHash: Key, share: Secret });
export type NewShare = v.InferOutput<typeof NewShare>;

/**
 * A device as it introduces itself: Ed25519 key for MLS and sign-in, certified by its member's identity key. `proof` is the
 * device key's own signature over introductionPayload: the only part nobody else ever sees, so that a repeated
 * sign-up or join gives a token to this device alone.
 */
const NewDevice = v.strictObject({
  id: DeviceId,
  name: Name,
  signatureKey: Key,
  certificate: Signature,
  proof: Signature,
  share: v.optional(NewShare),
});
const NewMember = v.strictObject({ id: MemberId, name: Name, identityKey: Key, device: NewDevice });

export const SignupBody = v.strictObject({
  tenant: v.strictObject({ id: TenantId, name: Name, residency: v.optional(Residency, "eu") }),
  member: NewMember,
});
/** A signed-in device's token; times in ms. */
export const TokenAnswer = v.strictObject({ token: v.string(), expiresAt: Time, now: Time });

export const InviteBody = v.strictObject({
  id: InviteId,
  secretHash: Key,
  role: v.picklist(["admin", "member"]),
  uses: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1_000)),
  expiresIn: v.pipe(v.number(), v.integer(), v.minValue(60_000), v.maxValue(90 * 86_400_000)),
  /** Lets this member in again, who has lost everything: one use, and the member's own role whatever `role` says. */
  member: v.optional(MemberId),
});
/** The operator's for a tenant's owner, who has lost everything: one use. The secret stays with the operator. */
export const OwnerReturnBody = v.pick(InviteBody, ["id", "secretHash", "expiresIn"]);
export const InviteSummary = v.strictObject({
  id: InviteId,
  role: Role,
  usesLeft: Time,
  createdAt: Time,
  expiresAt: Time,
  revokedAt: v.nullable(Time),
  /** Null for the operator's. */
  createdBy: v.nullable(MemberId),
  /** Whom it lets in again; null when it is for whoever is new. */
  member: v.nullable(MemberId),
});
export const InvitesAnswer = v.strictObject({ invites: v.array(InviteSummary) });
/** What the holder of an invite may know before joining. */
export const InviteLookBody = v.strictObject({ invite: InviteId, secret: Secret });
export const InviteLookAnswer = v.strictObject({
  tenant: v.strictObject({ id: TenantId, name: Name }),
  /** Null for the operator. */
  inviter: v.nullable(Name),
  role: Role,
  residency: Residency,
  /** Whom it lets in again: the member joins under this id and name. */
  returning: v.nullable(v.strictObject({ id: MemberId, name: Name })),
});
export const JoinBody = v.strictObject({ invite: InviteId, secret: Secret, member: NewMember });

export const ChallengeBody = v.strictObject({ tenant: TenantId, device: DeviceId });
export const ChallengeAnswer = v.strictObject({ challenge: v.string(), expiresAt: Time });
export const SignInBody = v.strictObject({ challenge: v.pipe(v.string(), v.maxLength(2048)), signature: Signature });

/** What a device is, as it says itself. */
export const DeviceKind = v.picklist(["computer", "phone", "terminal"]);
export type DeviceKind = v.InferOutput<typeof DeviceKind>;

export const DeviceSummary = v.strictObject({
  id: DeviceId,
  name: Name,
  signatureKey: Key,
  certificate: Signature,
  createdAt: Time,
  lastUsedAt: Time,
  revokedAt: v.nullable(Time),
  /** Its app lock has seen too many wrong tries, and opens when another of its member's devices releases it. */
  lockedOut: v.boolean(),
  kind: v.nullable(DeviceKind),
  /** The permission of a sibling, or of a recovery, that has let it in; null when it came with its member. */
  admittedBy: v.nullable(GrantId),
});
/** A new name for an own device, or what it is. */
export const DevicePatch = v.union([v.strictObject({ name: Name }), v.strictObject({ kind: DeviceKind })]);
export const DevicesAnswer = v.strictObject({ devices: v.array(DeviceSummary) });
export const MemberSummary = v.strictObject({
  id: MemberId,
  name: Name,
  role: Role,
  identityKey: Key,
  createdAt: Time,
  removedAt: v.nullable(Time),
});
export type MemberSummary = v.InferOutput<typeof MemberSummary>;
export const MembersAnswer = v.strictObject({ members: v.array(MemberSummary) });
export const MemberPatch = v.strictObject({ role: v.picklist(["admin", "member"]) });

export const TenantAnswer = v.strictObject({ id: TenantId, name: Name, residency: Residency, policy: Policy });
/** To the operator: since when a tenant is suspended, and whether every object of it has confirmed what holds now. */
export const SuspensionAnswer = v.strictObject({ suspendedAt: v.nullable(Time), confirmed: v.boolean() });
export const TenantPatch = v.strictObject({ policy: Policy });

/** Stock for the own device's mailbox. `bytes` is an MLSMessage-framed KeyPackage. */
export const KeyPackagesBody = v.strictObject({
  packages: v.pipe(
    v.array(v.strictObject({ bytes: Blob, expiresAt: Time, lastResort: v.boolean() })),
    v.minLength(1),
    v.maxLength(LIMITS.keyPackagesPerDevice),
  ),
});
/** One key package per active device of a member, handed out once. A device without stock is left out. */
export const ClaimAnswer = v.strictObject({ packages: v.array(v.strictObject({ device: DeviceId, bytes: Blob })) });

export const ConversationBody = v.strictObject({
  id: ConversationId,
  members: v.pipe(v.array(MemberId), v.maxLength(LIMITS.participants - 1)),
});
export const ConversationSummary = v.strictObject({
  id: ConversationId,
  members: v.array(MemberId),
  createdBy: MemberId,
  createdAt: Time,
});
export const ConversationsAnswer = v.strictObject({ conversations: v.array(ConversationSummary) });
export const ParticipantBody = v.strictObject({ member: MemberId });

/** What anybody may ask: how this server keeps data, and what it speaks. */
export const AboutAnswer = v.strictObject({
  product: v.literal("kuvert"),
  release: v.string(),
  protocols: v.array(v.number()),
  residency: v.picklist(["platform", "simulated"]),
});

/** Body of every refused request. */
export const RefusalAnswer = v.strictObject({
  code: v.string(),
  remedy: v.string(),
  detail: v.record(v.string(), v.unknown()),
});

/** The shelf of one history on its way to another device of the same member: however many there are at once, none knows of another. */
export type HandoverShelf = `handover.${HandoverId}`;
const isHandoverShelf = (value: unknown): boolean =>
  typeof value === "string" && value.startsWith("handover.") && v.is(HandoverId, value.slice("handover.".length));
/** Where in a vault an object lies: with the sealed backup, or with a history on its way. */
export const Shelf = v.union([v.literal("backup"), v.custom<HandoverShelf>(isHandoverShelf)]);
export type Shelf = v.InferOutput<typeof Shelf>;
/** Header of a stored object: the time in ms by the server's clock from which it may not be given out any more. */
export const EXPIRES_AT_HEADER = "kuvert-expires-at";
/** Sealed objects on one shelf. Sizes in bytes, times in ms. */
export const VaultAnswer = v.strictObject({
  objects: v.array(v.strictObject({ id: VaultId, size: Time, storedAt: Time, expiresAt: v.nullable(Time) })),
});

/** Puts a recovery phrase to a member's name: what it is looked up by, its public key, and that key's signature over enrolmentPayload. */
export const RecoveryBody = v.strictObject({ lookup: RecoveryId, publicKey: Key, proof: Signature });
/** The phrase that is enrolled; null for none. */
export const RecoveryAnswer = v.strictObject({
  recovery: v.nullable(v.strictObject({ lookup: RecoveryId, enrolledAt: Time })),
});
export const RecoveryChallengeBody = v.strictObject({ lookup: RecoveryId });
/** Whom a phrase belongs to, for whoever holds it. The token reads the sealed backup and lets one device in; times in ms. */
export const RecoveredAnswer = v.strictObject({
  token: v.string(),
  expiresAt: Time,
  now: Time,
  tenant: v.strictObject({ id: TenantId, name: Name, residency: Residency }),
  member: v.strictObject({ id: MemberId, name: Name, role: Role, identityKey: Key }),
});
export const RecoveryDeviceBody = v.strictObject({ device: NewDevice });

/** A credential's id as its authenticator has chosen it (WebAuthn §4). */
const CredentialId = base64url((length) => length > 0 && length <= 1023);
/** What the passkey alone can open: the keys of the phrase it stands beside. */
const PasskeyBox = base64url((length) => length > 0 && length <= 256);
/**
 * Enters a passkey beside the phrase `lookup`. `clientData`, `attestation`: what creating the credential has given (WebAuthn §5.2.1); the
 * challenge in it is asked for before.
 */
export const PasskeyBody = v.strictObject({
  id: PasskeyId,
  name: Name,
  lookup: RecoveryId,
  credential: CredentialId,
  box: PasskeyBox,
  clientData: Blob,
  attestation: base64url((length) => length > 0 && length <= 16 * 1024),
});
/** A member's passkeys; times in ms. */
export const PasskeysAnswer = v.strictObject({
  passkeys: v.array(
    v.strictObject({
      id: PasskeyId,
      name: Name,
      credential: CredentialId,
      createdAt: Time,
      usedAt: v.nullable(Time),
    }),
  ),
});
/** Answers a challenge with whichever passkey a person has chosen (WebAuthn §5.2.2). `user`: as passkeyUser says. */
export const PasskeySignInBody = v.strictObject({
  credential: CredentialId,
  user: base64url((length) => length > 0 && length <= 64),
  clientData: Blob,
  authenticatorData: Blob,
  signature: Blob,
});
/** Whom a passkey belongs to, as {@link RecoveredAnswer}, with the box that it alone can open. */
export const PasskeyRecoveredAnswer = v.strictObject({ ...RecoveredAnswer.entries, box: PasskeyBox });

/** What two devices leave for each other under a code: sealed, so small that it fits anywhere. */
const Sealed = v.pipe(Blob, v.maxLength(4096));
/** Opens a meeting place for a further device. */
export const LinkBody = v.strictObject({ id: LinkId, offer: Sealed });
export const LinkMessageBody = v.strictObject({ bytes: Sealed });
/** The new device's answer, with the share of what it keeps of the code: it is not in yet, and has nowhere else to leave one. */
export const LinkHelloBody = v.strictObject({ ...LinkMessageBody.entries, share: v.optional(NewShare) });
/** All that has been left so far, in the order in which it is; times in ms. */
export const LinkAnswer = v.strictObject({
  offer: Sealed,
  hello: v.nullable(Sealed),
  reveal: v.nullable(Sealed),
  handover: v.nullable(Sealed),
  expiresAt: Time,
  now: Time,
});
export type LinkAnswer = v.InferOutput<typeof LinkAnswer>;
/** Permission of a device, by its signature over grantPayload, for one further device of its member. */
export const Grant = v.strictObject({ id: GrantId, by: DeviceId, expiresAt: Time, signature: Signature });
export const LinkedDeviceBody = v.strictObject({ tenant: TenantId, grant: Grant, device: NewDevice });

/** Head of the tenant's key log: a Merkle tree as in RFC 9162 §2.1. */
export const KeyHeadAnswer = v.strictObject({ size: Time, root: Key });
/** Leaves in order, a page of them. */
export const KeyLeavesAnswer = v.strictObject({ leaves: v.array(Blob) });
const Hashes = v.pipe(v.array(Key), v.maxLength(64));
export const InclusionAnswer = v.strictObject({ index: Time, hashes: Hashes });
export const GrowthAnswer = v.strictObject({ hashes: Hashes });

/** Asks for a share by its secret; `verifier` is what a passphrase or passkey proves itself with, null when none is given. */
export const ShareBody = v.strictObject({ secret: Secret, verifier: v.nullable(Secret) });
export const ShareAnswer = v.strictObject({ share: Secret });
/** Puts another share in the place of one that is open, with the SHA-256 of the verifier that will be asked for, null for none. */
export const ShareChangeBody = v.strictObject({
  secret: Secret,
  share: Secret,
  next: v.strictObject({ unlockHash: Key, share: Secret, verifierHash: v.nullable(Key) }),
});

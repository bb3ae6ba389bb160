// Owns recovery as devices speak of it with the server: enrolling a phrase, and coming back with nothing but one. Keeps no state and
// knows nothing of what is in the backup.

import type * as v from "valibot";
import * as contract from "../../../schemas/api.ts";
import { toBase64url } from "../../../schemas/bytes.ts";
import type { MemberId, RecoveryId, TenantId } from "../../../schemas/ids.ts";
import { enrolmentPayload, recoveryPayload } from "../../../schemas/recovery.ts";
import { createCall, type DoorOptions, Nothing, signedIn, type TokenAnswer } from "../api.ts";
import { sign } from "../group/device-keys.ts";
import type { Tokens } from "../token.ts";
import { createReader, type VaultReader } from "../vault.ts";
import type { RecoveryKeys } from "./phrase.ts";

type NewDevice = v.InferInput<typeof contract.RecoveryDeviceBody>["device"];
type Recovered = v.InferOutput<typeof contract.RecoveredAnswer>;

/** What a signed-in device may do about its member's phrase. Every method may be refused with `unavailable`. */
export interface RecoveryEnrolment {
  /** Puts the phrase with these keys to the member's name; an earlier phrase opens nothing any more. */
  enrol(member: { readonly tenant: TenantId; readonly member: MemberId }, keys: RecoveryKeys): Promise<void>;
  /** The phrase that is enrolled, by its lookup id. */
  enrolled(): Promise<{ readonly lookup: RecoveryId; readonly enrolledAt: number } | null>;
  drop(): Promise<void>;
}

/** A member come back by its phrase or passkey: the sealed backup to read, and one device to enrol. */
export interface Recovery {
  readonly tenant: Recovered["tenant"];
  readonly member: Recovered["member"];
  readonly backup: VaultReader;
  /** The server's time at `askedAt` of this machine's clock. */
  readonly now: number;
  /**
   * Enters a device that the recovered identity key has certified. May be repeated with the same device.
   * @throws {Refusal} conflict — this recovery has let in another; quota — too many devices; forbidden — not certified by that identity key
   */
  enrolDevice(device: NewDevice): Promise<TokenAnswer>;
}

/** Enrolment of phrases for the device that `tokens` signs in. */
export function createEnrolment(options: DoorOptions & { readonly tokens: Tokens }): RecoveryEnrolment {
  const call = signedIn(createCall(options), options.tokens);
  const path = "/api/recovery";
  return {
    enrol: async (member, { lookup, signIn }) => {
      const proof = toBase64url(await sign(signIn.privateKey, enrolmentPayload({ ...member, lookup })));
      const body = { lookup, publicKey: toBase64url(signIn.publicKey), proof };
      await call({ method: "PUT", path, body, answer: Nothing });
    },
    enrolled: async () => (await call({ path, answer: contract.RecoveryAnswer })).recovery,
    drop: () => call({ method: "DELETE", path, answer: Nothing }),
  };
}

/**
 * Comes back by a phrase. The token it earns lives ten minutes; a longer restore earns another one silently, and the first one's permission
 * to enrol goes with it.
 * @throws {Refusal} not_found — the server knows no such phrase; device_revoked — its member was removed; tenant_suspended; rate_limited; unavailable
 */
export async function recover(options: DoorOptions, keys: RecoveryKeys): Promise<Recovery> {
  const call = createCall(options);
  const signIn = async (): Promise<Recovered> => {
    const { lookup } = keys;
    const path = "/api/recovery";
    const post = { method: "POST" } as const;
    const asked = { ...post, path: `${path}/challenges`, body: { lookup }, answer: contract.ChallengeAnswer };
    const { challenge } = await call(asked);
    const signature = toBase64url(await sign(keys.signIn.privateKey, recoveryPayload(challenge)));
    const body = { challenge, signature };
    return call({ ...post, path: `${path}/tokens`, body, answer: contract.RecoveredAnswer });
  };
  return createRecovery(options, await signIn(), async () => (await signIn()).token);
}

/** What a recovery may do by the token it has earned first; `again` earns another when the server does not take that any more. */
export function createRecovery(options: DoorOptions, first: Recovered, again: () => Promise<string>): Recovery {
  const call = createCall(options);
  let token: string | undefined = first.token;
  const tokens = {
    get: async () => {
      token ??= await again();
      return token;
    },
    drop: (old: string) => {
      if (token === old) token = undefined;
    },
  };
  return {
    tenant: first.tenant,
    member: first.member,
    now: first.now,
    backup: createReader({ ...options, tokens }, "/api/recovery/backup"),
    enrolDevice: (device) =>
      signedIn(
        call,
        tokens,
      )({
        method: "POST",
        path: "/api/recovery/device",
        body: { device },
        answer: contract.TokenAnswer,
      }),
  };
}

// Owns passkeys as devices speak of them with the server: a member's own, and coming back by one. Makes none and asks none itself: that only
// the page can.

import type * as v from "valibot";
import * as contract from "../../../schemas/api.ts";
import { fromBase64url, toBase64url } from "../../../schemas/bytes.ts";
import { newId, type PasskeyId } from "../../../schemas/ids.ts";
import { passkeyUser, toPasskeyChallenge } from "../../../schemas/passkey.ts";
import { Refusal } from "../../../schemas/refusal.ts";
import { createCall, type DoorOptions, Nothing, signedIn } from "../api.ts";
import type { AccountRecord } from "../records.ts";
import type { Tokens } from "../token.ts";
import type { NewPasskey, PasskeyAnswer, PasskeyOffer, PasskeyView } from "../view.ts";
import { type BoxContent, openBox, sealBox } from "./passkey-box.ts";
import { createRecovery, type Recovery } from "./recovery.ts";

const PATH = "/api/passkeys";
const SECRET = 32;

export interface PasskeysOptions extends DoorOptions {
  readonly tokens: Tokens;
  readonly account: () => AccountRecord;
  /** The keys of the member's phrase; null when this device does not have them. */
  readonly keys: () => BoxContent | null;
}

/** The passkeys of one's own. Every method may be refused with `unavailable`. */
export class Passkeys {
  readonly #options: PasskeysOptions;
  readonly #call: ReturnType<typeof createCall>;

  constructor(options: PasskeysOptions) {
    this.#options = options;
    this.#call = signedIn(createCall(options), options.tokens);
  }

  async list(): Promise<readonly PasskeyView[]> {
    return (await this.#call({ path: PATH, answer: contract.PasskeysAnswer })).passkeys;
  }

  /** What the page needs to make one. @throws {Refusal} conflict (reason "phrase") — this device has no phrase to put it beside */
  async offer(): Promise<PasskeyOffer> {
    this.#keys();
    const { tenant, member } = this.#options.account();
    const taken = (await this.list()).map(({ credential }) => credential);
    const path = `${PATH}/challenges`;
    const { challenge } = await this.#call({ method: "POST", path, answer: contract.ChallengeAnswer });
    return {
      challenge: toPasskeyChallenge(challenge),
      user: { id: passkeyUser({ tenant: tenant.id, member: member.id }), name: `${member.name}, ${tenant.name}` },
      taken,
    };
  }

  /**
   * Enters one that the page has made.
   * @throws {Refusal} malformed (reason "secret"); conflict, token_expired, quota, forbidden; not_found — the phrase was replaced elsewhere
   */
  async add(name: string, { secret, ...made }: NewPasskey): Promise<void> {
    const { tenant, member } = this.#options.account();
    const { lookup, backupKey } = this.#keys();
    const key = { tenant: tenant.id, member: member.id, credential: made.credential, secret: readSecret(secret) };
    const box = toBase64url(sealBox(key, { lookup, backupKey }));
    const body = { id: newId<PasskeyId>(), name, lookup, box, ...made };
    await this.#call({ method: "POST", path: PATH, body, answer: Nothing });
  }

  remove(passkey: PasskeyId): Promise<void> {
    return this.#call({ method: "DELETE", path: `${PATH}/${passkey}`, answer: Nothing });
  }

  #keys(): BoxContent {
    const keys = this.#options.keys();
    if (keys === null) throw new Refusal("conflict", { reason: "phrase" });
    return keys;
  }
}

/** A challenge for whichever passkey a person chooses, as WebAuthn takes it. @throws {Refusal} rate_limited, unavailable */
export async function askPasskeyChallenge(options: DoorOptions): Promise<string> {
  const path = "/api/recovery/passkey/challenges";
  const { challenge } = await createCall(options)({ method: "POST", path, answer: contract.ChallengeAnswer });
  return toPasskeyChallenge(challenge);
}

/**
 * Comes back by a passkey, with what was in its box. Its token lives ten minutes; a restore that takes longer needs the passkey anew, and goes on
 * where it was.
 * @throws {Refusal} not_found — the server knows no such passkey; forbidden (reason "box") — what it gave as the box is none of this passkey's;
 * malformed (reason "secret"); unauthenticated, token_expired — ask with a new challenge; tenant_suspended; rate_limited; unavailable
 */
export async function recoverByPasskey(
  options: DoorOptions,
  { secret: text, ...answer }: PasskeyAnswer,
): Promise<BoxContent & { readonly recovery: Recovery }> {
  const secret = readSecret(text);
  const path = "/api/recovery/passkey/tokens";
  const post = { method: "POST", path, body: answer, answer: contract.PasskeyRecoveredAnswer } as const;
  const recovered: v.InferOutput<typeof contract.PasskeyRecoveredAnswer> = await createCall(options)(post);
  const { tenant, member } = recovered;
  const key = { tenant: tenant.id, member: member.id, credential: answer.credential, secret };
  const content = openBox(key, fromBase64url(recovered.box) ?? new Uint8Array());
  if (content === undefined) throw new Refusal("forbidden", { reason: "box" });
  const again = () => Promise.reject(new Refusal("token_expired"));
  return { ...content, recovery: createRecovery(options, recovered, again) };
}

function readSecret(text: string): Uint8Array {
  const secret = fromBase64url(text);
  if (secret?.length !== SECRET) throw new Refusal("malformed", { reason: "secret" });
  return secret;
}

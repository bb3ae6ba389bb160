// Recovery phrases as a client makes them of 24 words: a lookup id and a key, and their proof for one member.

import { randomBytes, toBase64url } from "../../../schemas/bytes.ts";
import type { RecoveryId } from "../../../schemas/ids.ts";
import { enrolmentPayload } from "../../../schemas/recovery.ts";
import { type Answer, call, newKey, type Person } from "./people.ts";

export interface Phrase {
  readonly lookup: RecoveryId;
  readonly key: Awaited<ReturnType<typeof newKey>>;
}

export async function newPhrase(): Promise<Phrase> {
  return { lookup: toBase64url(randomBytes(16)) as RecoveryId, key: await newKey() };
}

/** What a member sends to have a phrase from now on. */
export async function enrolmentOf({ tenant, member }: Person, { lookup, key }: Phrase) {
  return { lookup, publicKey: key.publicKey, proof: await key.sign(enrolmentPayload({ tenant, member, lookup })) };
}

export async function enrol(person: Person, phrase: Phrase): Promise<Answer> {
  return call("PUT", "/api/recovery", { token: person.token, body: await enrolmentOf(person, phrase) });
}

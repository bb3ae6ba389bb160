// Proves that no message key was used for two messages: looks into every sealed message for its sender and MLS generation, with the
// secrets that the devices' own stores let slip. It opens no content.

import { decodeGroupContext } from "ts-mls/groupContext.js";
import { decodeKeySchedule } from "ts-mls/keySchedule.js";
import { decodeMlsMessage } from "ts-mls/message.js";
import { decryptSenderData } from "ts-mls/privateMessage.js";
import { suite } from "../../client/engine/group/provider.ts";
import type { Write } from "../../client/engine/store.ts";
import { toBase64url } from "../../schemas/bytes.ts";
import { decodeCbor } from "../../schemas/cbor.ts";
import type { Left } from "./wire-tap.ts";

interface Head {
  readonly live: { readonly context: Uint8Array; readonly keys: Uint8Array } | null;
}

/** Follows the stores of all devices, then judges what left them. */
export class Nonces {
  /** The sender data secrets of an epoch, by conversation, generation and epoch: more than one means that the group forked. */
  readonly #secrets = new Map<string, Map<string, Uint8Array>>();

  /** To be called with everything a device writes. */
  readonly note = (writes: readonly Write[]): void => {
    for (const { table, key, value } of writes) {
      if (table !== "groups" || !key.endsWith("/head") || value === null) continue;
      const { live } = decodeCbor(value) as unknown as Head;
      if (live === null) continue;
      const epoch = decodeGroupContext(live.context, 0)?.[0].epoch;
      const secret = decodeKeySchedule(live.keys, 0)?.[0].senderDataSecret;
      if (epoch === undefined || secret === undefined) throw new Error("a head nobody can read");
      const name = `${key.slice(0, -"head".length)}${epoch}`;
      const known = this.#secrets.get(name) ?? new Map<string, Uint8Array>();
      this.#secrets.set(name, known.set(toBase64url(secret), secret.slice()));
    }
  };

  /** What went wrong with `left`, if anything: a key used twice, an id with two ciphertexts of one epoch, an epoch with two secrets. */
  async judge(left: readonly Left[]): Promise<{ readonly faults: string[]; readonly keys: number }> {
    const byKey = new Map<string, string>();
    const byId = new Map<string, string>();
    const faults: string[] = [];
    for (const [name, { size }] of this.#secrets) if (size > 1) faults.push(`epoch ${name} has ${size} secrets`);
    for (const one of left) {
      const bytes = toBase64url(one.bytes);
      const { name, sender, generation } = await this.#look(one);
      const [key, message] = [`${name}, leaf ${sender}, generation ${generation}`, `${one.id} in ${name}`];
      if ((byKey.get(key) ?? bytes) !== bytes) faults.push(`two messages under one key: ${key}`);
      if ((byId.get(message) ?? bytes) !== bytes) faults.push(`two ciphertexts of one epoch: ${message}`);
      byKey.set(key, bytes);
      byId.set(message, bytes);
    }
    return { faults, keys: byKey.size };
  }

  async #look({ conversation, bytes }: Left): Promise<{ name: string; sender: number; generation: number }> {
    const message = decodeMlsMessage(bytes, 0)?.[0];
    if (message?.wireformat !== "mls_private_message") throw new Error("a send that is no private message");
    const { privateMessage } = message;
    const generation = new DataView(privateMessage.groupId.buffer, privateMessage.groupId.byteOffset).getUint32(16);
    const name = `${conversation}/${generation}/${privateMessage.epoch}`;
    for (const secret of this.#secrets.get(name)?.values() ?? []) {
      const data = await decryptSenderData(privateMessage, secret, await suite()).catch(() => undefined);
      if (data !== undefined) return { name, sender: data.leafIndex, generation: data.generation };
    }
    throw new Error(`nobody was ever in ${name}`);
  }
}

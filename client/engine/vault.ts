// Owns how sealed objects travel to and from the vault. Seals and reads nothing itself.

import * as v from "valibot";
import { EXPIRES_AT_HEADER, type Shelf, VaultAnswer } from "../../schemas/api.ts";
import type { VaultId } from "../../schemas/ids.ts";
import { isRefusal, REFUSALS, Refusal } from "../../schemas/refusal.ts";
import { type DoorOptions, readJson, refusalOf } from "./api.ts";

/** An object as it lies in the vault; `tag` changes whenever it is replaced. */
export interface Stored {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly tag: string;
}

export type Listed = v.InferOutput<typeof VaultAnswer>["objects"][number];

/** What may be read from one shelf. Every method may be refused with `unavailable`. */
export interface VaultReader {
  /** `undefined` when there is none of this id, or it has expired. */
  get(id: VaultId): Promise<Stored | undefined>;
  list(): Promise<readonly Listed[]>;
}

/** One shelf of a member's vault. */
export interface Vault extends VaultReader {
  /**
   * Stores an object and returns its tag. `expected`: tag of the one it replaces, or null for none; `expiresAt` in ms by the server's clock.
   * @throws {Refusal} conflict — what is there is not what was expected; quota — no room; too_large
   */
  put(
    id: VaultId,
    bytes: Uint8Array<ArrayBuffer>,
    options?: { readonly expected?: string | null; readonly expiresAt?: number | null },
  ): Promise<string>;
  delete(id: VaultId): Promise<void>;
}

/** Gives the token requests carry, and is told when the server turns one down. */
export interface TokenSource {
  get(): Promise<string>;
  drop(token: string): void;
}

export interface VaultOptions extends DoorOptions {
  readonly tokens: TokenSource;
}

/** A shelf of the signed-in member's vault. */
export function createVault(options: VaultOptions & { readonly shelf: Shelf }): Vault {
  const path = `/api/vault/${options.shelf}`;
  const send = createSend(options);
  return {
    ...createReader(options, path),
    put: async (id, bytes, { expected, expiresAt } = {}) => {
      const headers: Record<string, string> = { "content-type": "application/octet-stream" };
      if (expected === null) headers["if-none-match"] = "*";
      else if (expected !== undefined) headers["if-match"] = expected;
      if (expiresAt != null) headers[EXPIRES_AT_HEADER] = String(expiresAt);
      return tagOf(await send(`${path}/${id}`, { method: "PUT", headers, body: bytes }));
    },
    delete: async (id) => {
      await send(`${path}/${id}`, { method: "DELETE" });
    },
  };
}

/** What lies under `path`, to be read only. */
export function createReader(options: VaultOptions, path: string): VaultReader {
  const send = createSend(options);
  return {
    get: async (id) => {
      try {
        const answer = await send(`${path}/${id}`);
        return { bytes: answer.bytes, tag: tagOf(answer) };
      } catch (error) {
        if (isRefusal(error) && error.code === "not_found") return undefined;
        throw error;
      }
    },
    list: async () => {
      const { bytes, status } = await send(path);
      const parsed = v.safeParse(VaultAnswer, readJson(new TextDecoder().decode(bytes)));
      if (!parsed.success) throw new Refusal("unavailable", { reason: "unreadable", status });
      return parsed.output.objects;
    },
  };
}

interface Answer {
  readonly status: number;
  readonly ok: boolean;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly tag: string | null;
}

function tagOf({ tag, status }: Answer): string {
  if (tag === null) throw new Refusal("unavailable", { reason: "unreadable", status });
  return tag;
}

/** Sends with a token; one that the server turns down is replaced and the request made once more. */
function createSend({ server, tokens, fetch: send = fetch, timeout = 60_000 }: VaultOptions) {
  const attempt = async (path: string, init: RequestInit, token: string): Promise<Answer> => {
    const answer = await exchange(() =>
      send(new URL(path, server), {
        ...init,
        headers: { ...(init.headers as Record<string, string> | undefined), authorization: `Bearer ${token}` },
        signal: AbortSignal.timeout(timeout),
        redirect: "error",
        credentials: "omit",
        cache: "no-store",
      }),
    );
    if (answer.ok) return answer;
    throw refusalOf(answer.status, readJson(new TextDecoder().decode(answer.bytes)));
  };
  return async (path: string, init: RequestInit = {}): Promise<Answer> => {
    const token = await tokens.get();
    try {
      return await attempt(path, init, token);
    } catch (error) {
      if (!isRefusal(error) || REFUSALS[error.code].remedy !== "sign_in") throw error;
      tokens.drop(token);
      return attempt(path, init, await tokens.get());
    }
  };
}

async function exchange(send: () => Promise<Response>): Promise<Answer> {
  try {
    const answer = await send();
    const bytes = new Uint8Array(await answer.arrayBuffer());
    return { status: answer.status, ok: answer.ok, bytes, tag: answer.headers.get("etag") };
  } catch {
    throw new Refusal("unavailable", { reason: "unreachable" });
  }
}

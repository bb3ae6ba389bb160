// Owns the device's access token: signs in by challenge, renews it silently, and reads the server's clock off it.
// Knows neither what the token says nor where the device's key is kept.

import type { DeviceId, TenantId } from "../../schemas/ids.ts";
import type { Door, TokenAnswer } from "./api.ts";
import type { Clock } from "./clock.ts";

export interface Tokens {
  /**
   * A token that has life left; signs in when there is none. Callers at the same time share one sign-in.
   * @throws {Refusal} device_revoked, tenant_suspended, not_found — this device is out; unavailable — no answer
   */
  get(): Promise<string>;
  /** Forgets this token because the server turned it down; without one, whatever there is. */
  drop(token?: string): void;
  /** Takes in the token that sign-up or joining answered with. */
  adopt(answer: TokenAnswer): void;
  /** The server's clock in ms, as well as it is known. */
  serverNow(): number;
}

export interface TokensOptions {
  readonly door: Pick<Door, "challenge" | "signIn">;
  readonly tenant: TenantId;
  readonly device: DeviceId;
  /** Signs with the device's Ed25519 key. */
  readonly sign: (payload: Uint8Array) => Uint8Array | Promise<Uint8Array>;
  readonly clock?: Clock;
}
export declare function createTokens(options: TokensOptions): Tokens;

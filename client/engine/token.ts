// Owns the device's access token: signs in by challenge and renews it before it runs out. Knows neither what the token says nor
// where the device's key is kept.

import { toBase64url } from "../../schemas/bytes.ts";
import { signInPayload } from "../../schemas/credential.ts";
import type { DeviceId, TenantId } from "../../schemas/ids.ts";
import type { Door, TokenAnswer } from "./api.ts";
import { type Clock, systemClock } from "./clock.ts";

export interface Tokens {
  /**
   * A token that has life left; signs in when there is none. Callers at the same time share one sign-in, and in the last fifth of a
   * token's life it is renewed on the side.
   * @throws {Refusal} device_revoked, tenant_suspended, not_found — this device is out; unavailable — no answer
   */
  get(): Promise<string>;
  /** Forgets this token, because the server turned it down. */
  drop(token: string): void;
  /** Takes in the token that sign-up or joining answered with. */
  adopt(answer: TokenAnswer): void;
}

export interface TokensOptions {
  readonly door: Pick<Door, "challenge" | "signIn">;
  readonly tenant: TenantId;
  readonly device: DeviceId;
  /** Signs with the device's Ed25519 key. */
  readonly sign: (payload: Uint8Array<ArrayBuffer>) => Uint8Array | Promise<Uint8Array>;
  readonly clock?: Clock;
}

/** Times in ms on this machine's clock. */
interface Held {
  readonly token: string;
  readonly renewAt: number;
  readonly endsAt: number;
}

/** The tokens of one device. Nothing is asked of the server before the first {@link Tokens.get}. */
export function createTokens(options: TokensOptions): Tokens {
  const { door, tenant, device, sign, clock = systemClock } = options;
  let held: Held | undefined;
  let flight: Promise<string> | undefined;

  const hold = ({ token, expiresAt, now }: TokenAnswer, askedAt: number): string => {
    // Both times are the server's, so their difference is right whatever this machine's clock says.
    const life = expiresAt - now;
    held = { token, renewAt: askedAt + life * 0.8, endsAt: askedAt + life };
    return token;
  };

  const signIn = async (): Promise<string> => {
    const { challenge } = await door.challenge({ tenant, device });
    const signature = toBase64url(await sign(signInPayload(challenge)));
    const askedAt = clock.now();
    return hold(await door.signIn({ challenge, signature }), askedAt);
  };

  const fly = (): Promise<string> => {
    flight ??= signIn().finally(() => {
      flight = undefined;
    });
    return flight;
  };

  const renew = (old: Held): void => {
    fly().catch(() => {
      // The old one is still good; the next try waits a little, and when its life has ended a caller hears why.
      if (held === old) held = { ...old, renewAt: clock.now() + (old.endsAt - clock.now()) / 4 };
    });
  };

  return {
    get: async () => {
      const now = clock.now();
      if (held === undefined || now >= held.endsAt) return fly();
      if (now >= held.renewAt) renew(held);
      return held.token;
    },
    drop: (token) => {
      if (held?.token === token) held = undefined;
    },
    adopt: (answer) => {
      hold(answer, clock.now());
    },
  };
}

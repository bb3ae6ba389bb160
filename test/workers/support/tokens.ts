// Tokens as a forger would make them, and a directory that is out of order.

import { decodeJwt, decodeProtectedHeader, type JWTPayload, SignJWT } from "jose";
import type { Env } from "../../../workers/env.ts";
import { env } from "./people.ts";

/** What a token says, unverified. */
export const claimsOf = (token: string): JWTPayload => decodeJwt(token);
/** Which secret a token names. */
export const kidOf = (token: string): string => decodeProtectedHeader(token).kid ?? "";

/** A token with any claims, by any secret. */
export function forge(claims: JWTPayload, { secret, kid }: { secret: Uint8Array; kid: string }): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: "HS256", kid }).sign(secret);
}

/** The server's bindings with a D1 that fails every batch with `message`. */
export function brokenDirectory(message: string): Env {
  const DIRECTORY = new Proxy(env.DIRECTORY, {
    get(target, name) {
      if (name === "batch") return () => Promise.reject(new Error(message));
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { ...env, DIRECTORY };
}

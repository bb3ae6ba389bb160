// Owns what a tenant decides about its messages and the limits nobody may pass.

import * as v from "valibot";

const SECOND = 1_000;
const DAY = 86_400 * SECOND;

/** Bounds that hold for every tenant. Times in milliseconds, sizes in bytes. */
export const LIMITS = {
  envelopeBytes: 64 * 1024,
  commitBytes: 1024 * 1024,
  frameBytes: 4 * 1024 * 1024,
  bodyBytes: 512 * 1024,
  minExpiry: 10 * SECOND,
  maxExpiry: 28 * DAY,
  maxRetention: 365 * DAY,
  pageEnvelopes: 1_000,
  pageBytes: 1024 * 1024,
  windowEnvelopes: 200,
  windowBytes: 256 * 1024,
  participants: 1_000,
  keyPackagesPerDevice: 100,
  devicesPerMember: 10,
  passkeysPerMember: 10,
  linkLife: 10 * 60 * SECOND,
  /** How long a device that is in waits for the history of the one that let it in, in ms. */
  handingLife: 24 * 60 * 60 * SECOND,
  vaultObjectBytes: 2 * 1024 * 1024,
  vaultObjects: 2_048,
  vaultBytes: 1024 * 1024 * 1024,
  textCharacters: 8_000,
  nameCharacters: 80,
} as const;

const Expiry = v.pipe(v.number(), v.integer(), v.minValue(LIMITS.minExpiry), v.maxValue(LIMITS.maxExpiry));

/** A tenant's policy. Times in milliseconds; `null` expiry default = messages stay until retention. */
export const Policy = v.pipe(
  v.strictObject({
    minExpiry: Expiry,
    maxExpiry: Expiry,
    defaultExpiry: v.nullable(Expiry),
    retention: v.pipe(v.number(), v.integer(), v.minValue(DAY), v.maxValue(LIMITS.maxRetention)),
  }),
  v.check((policy) => policy.minExpiry <= policy.maxExpiry),
  v.check(
    ({ defaultExpiry, minExpiry, maxExpiry }) =>
      defaultExpiry === null || (defaultExpiry >= minExpiry && defaultExpiry <= maxExpiry),
  ),
);
export type Policy = v.InferOutput<typeof Policy>;

export const DEFAULT_POLICY: Policy = {
  minExpiry: LIMITS.minExpiry,
  maxExpiry: LIMITS.maxExpiry,
  defaultExpiry: null,
  retention: 30 * DAY,
};

export const Residency = v.picklist(["eu", "global"]);
export type Residency = v.InferOutput<typeof Residency>;

export const Role = v.picklist(["owner", "admin", "member"]);
export type Role = v.InferOutput<typeof Role>;

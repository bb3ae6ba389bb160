// Owns the linking of a device as it happens: leaving and fetching messages at the server, in order, until it is done, over or called off.
// Knows neither how the messages are made nor what an account is.

import type * as v from "valibot";
import * as contract from "../../../schemas/api.ts";
import { fromBase64url, toBase64url } from "../../../schemas/bytes.ts";
import { type DeviceId, type GrantId, type MemberId, newId, type TenantId } from "../../../schemas/ids.ts";
import { grantPayload, type LinkHandover } from "../../../schemas/linking.ts";
import { LIMITS } from "../../../schemas/policy.ts";
import { isRefusal, Refusal } from "../../../schemas/refusal.ts";
import { createCall, type DoorOptions, Nothing, signedIn, type TokenAnswer } from "../api.ts";
import { type Clock, systemClock } from "../clock.ts";
import { sign } from "../group/device-keys.ts";
import type { Bytes } from "../records.ts";
import type { Tokens } from "../token.ts";
import { createCode, type LinkKeys, linkKeys } from "./code.ts";
import type { Entered } from "./entered.ts";
import { makeHello, makeOffer, openHandover, openHello, openReveal, sealHandover } from "./exchange.ts";
import type { Left } from "./handing.ts";

/** How often a device looks whether the other has answered, in ms. */
const INTERVAL = 1_000;

type NewDevice = v.InferInput<typeof contract.LinkedDeviceBody>["device"];

/** A device that shows a code. Every promise rejects with `not_found` when the code's ten minutes are over or somebody called it off. */
export interface Showing {
  readonly code: string;
  /**
   * Somebody has entered the code: what their device is called, and the digits to compare with those it shows.
   * @throws {Refusal} forbidden — somebody answered who does not have the code; show another one
   */
  answered(): Promise<{ readonly name: string; readonly digits: string }>;
  /** A person has found the digits equal: hands over. Only after {@link answered}. `keep` is told what is left, before it is. */
  confirm(handover: Omit<LinkHandover, "v">, keep?: (left: Left) => Promise<void>): Promise<void>;
  cancel(): Promise<void>;
}

/** A device that has entered a code; rejections as for {@link Showing}, besides conflict — another device has entered it. */
export interface Entering {
  /** The digits to compare. @throws {Refusal} forbidden — whoever answered does not have the code */
  agreed(): Promise<string>;
  /** What a person has confirmed on the other device. Only after {@link agreed}. @throws {Refusal} forbidden — it was not sealed by that device */
  confirmed(): Promise<LinkHandover>;
  /** Clears everything away, whether it is called off or has been fetched. */
  close(): Promise<void>;
}

/** Shows a new code for one further device. @throws {Refusal} unavailable */
export async function showCode({
  tokens,
  clock = systemClock,
  ...door
}: DoorOptions & { readonly tokens: Tokens; readonly clock?: Clock }): Promise<Showing> {
  const code = createCode();
  const keys = await linkKeys(code);
  const offering = await makeOffer(keys);
  const place = meetingPlace(door, keys.id, clock);
  const call = signedIn(createCall(door), tokens);
  const body = { id: keys.id, offer: toBase64url(offering.offer) };
  await call({ method: "POST", path: "/api/links", body, answer: Nothing });
  let opened: Awaited<ReturnType<typeof openHello>>;
  return {
    code,
    answered: async () => {
      opened ??= await openHello(offering, (await place.await("hello")).bytes);
      if (opened === undefined) {
        await place.close();
        throw new Refusal("forbidden", { reason: "link_code" });
      }
      const bytes = toBase64url(opened.reveal);
      await call({ method: "POST", path: `${place.path}/reveal`, body: { bytes }, answer: Nothing });
      return { name: opened.name, digits: opened.digits };
    },
    confirm: async (handover, keep) => {
      if (opened === undefined) throw new TypeError("nobody has answered");
      const bytes = sealHandover(opened, { v: 1, ...handover });
      const left = { link: keys.id, bytes, grant: handover.grant.id };
      await keep?.(left);
      await leaveHandover({ ...door, tokens }, left);
    },
    cancel: place.close,
  };
}

/** Leaves what was sealed for the other device. May be repeated. @throws {Refusal} not_found — it was fetched, or its time is over; unavailable */
export function leaveHandover(
  { tokens, ...door }: DoorOptions & { readonly tokens: Tokens },
  { link, bytes }: Left,
): Promise<void> {
  const body = { bytes: toBase64url(bytes) };
  const call = signedIn(createCall(door), tokens);
  return call({ method: "POST", path: `/api/links/${link}/handover`, body, answer: Nothing });
}

/**
 * Takes up a code, of which these are the keys, as a device called `name`. Leaves nothing yet: once this is kept, {@link enterCode} does.
 * @throws {Refusal} not_found — no such code; forbidden — there is something else
 */
export async function takeCode(
  { clock = systemClock, ...door }: DoorOptions & { readonly clock?: Clock },
  { keys, name }: { readonly keys: LinkKeys; readonly name: string },
): Promise<Entered> {
  const { bytes, left } = await meetingPlace(door, keys.id, clock).await("offer");
  const until = clock.now() + left;
  const greeting = await makeHello(keys, bytes, { name });
  if (greeting === undefined) throw new Refusal("forbidden", { reason: "link_code" });
  return { link: keys.id, name, greeting, until };
}

/** Enters a code that was taken up, or goes on with it. `share`: the server's part of what opens what is kept of it, for as long as the code lasts. */
export function enterCode(
  { clock = systemClock, ...door }: DoorOptions & { readonly clock?: Clock },
  { link, greeting, until }: Entered,
  share?: contract.NewShare,
): Entering {
  const place = meetingPlace(door, link, clock, until);
  const forbidden = async (): Promise<never> => {
    await place.close();
    throw new Refusal("forbidden", { reason: "link_code" });
  };
  let agreed: ReturnType<typeof openReveal>;
  return {
    agreed: async () => {
      await place.answer({ bytes: toBase64url(greeting.hello), ...(share && { share }) });
      agreed = openReveal(greeting, (await place.await("reveal")).bytes) ?? (await forbidden());
      return agreed.digits;
    },
    confirmed: async () => {
      if (agreed === undefined) throw new TypeError("nothing to compare yet");
      return openHandover(agreed, (await place.await("handover")).bytes) ?? (await forbidden());
    },
    close: place.close,
  };
}

/** Permission for one further device, good for ten minutes from `now` of the server's clock. */
export async function makeGrant(
  signatureKey: { readonly privateKey: Uint8Array },
  { tenant, member, by, now }: { tenant: TenantId; member: MemberId; by: DeviceId; now: number },
): Promise<LinkHandover["grant"]> {
  const id = newId<GrantId>();
  // A little less, so that a clock that is a little ahead does not ask for more than the server gives
  const expiresAt = Math.floor(now) + LIMITS.linkLife - 30_000;
  const payload = grantPayload({ tenant, member, by, grant: id, expiresAt });
  const signature = (await sign(signatureKey.privateKey, payload)) as Bytes;
  return { id, by, expiresAt, signature };
}

/**
 * Enters the device that the handed-over identity key has certified. May be repeated with the same device.
 * @throws {Refusal} not_found — the permission is over; conflict — it is used up; device_revoked — whoever gave it is out; quota; unavailable
 */
export function enrolLinked(
  door: DoorOptions,
  { tenant, grant }: LinkHandover,
  device: NewDevice,
): Promise<TokenAnswer> {
  const signature = toBase64url(grant.signature);
  const body = { tenant: tenant.id, grant: { ...grant, signature }, device };
  return createCall(door)({ method: "POST", path: "/api/devices", body, answer: contract.TokenAnswer });
}

/** The place where the two leave their messages; gone at `until` by the local clock, as far as that is known, in ms. */
function meetingPlace(door: DoorOptions, id: string, clock: Clock, until = Number.POSITIVE_INFINITY) {
  const call = createCall(door);
  const path = `/api/links/${id}`;
  let closed = false;
  /** Asks until there is an answer. A server out of reach is asked again, until the place is gone. */
  const insist = async <Answer>(ask: () => Promise<Answer | undefined>): Promise<Answer> => {
    for (;;) {
      if (closed || clock.now() >= until) throw new Refusal("not_found");
      const answer = await ask().catch(unlessUnavailable);
      if (answer !== undefined) return answer;
      await new Promise<void>((resolve) => clock.after(INTERVAL, resolve));
    }
  };
  return {
    path,
    /** Waits until something is there; `left`: for how long the place stays, in ms. */
    await: (step: "offer" | "hello" | "reveal" | "handover"): Promise<{ bytes: Bytes; left: number }> =>
      insist(async () => {
        const there = await call({ path, answer: contract.LinkAnswer });
        const bytes = there[step];
        if (bytes === null) return undefined;
        return { bytes: fromBase64url(bytes) ?? new Uint8Array(), left: there.expiresAt - there.now };
      }),
    /** Leaves the new device's answer. May be repeated. @throws {Refusal} conflict — another device's is there */
    answer: async (body: v.InferInput<typeof contract.LinkHelloBody>): Promise<void> => {
      await insist(async () => {
        await call({ method: "POST", path: `${path}/hello`, body, answer: Nothing });
        return true;
      });
    },
    close: async (): Promise<void> => {
      closed = true;
      await call({ method: "DELETE", path, answer: Nothing }).catch(unlessUnavailable);
    },
  };
}

function unlessUnavailable(error: unknown): undefined {
  if (isRefusal(error) && (error.code === "unavailable" || error.code === "rate_limited")) return undefined;
  throw error;
}

// Devices: the entrance of a further one; a member's own, or for owner and admins anybody's; their names, their revocation, and the release of an app lock.

import { Hono } from "hono";
import type * as v from "valibot";
import { DevicePatch, type DevicesAnswer, LinkedDeviceBody } from "../../schemas/api.ts";
import { DeviceId, MemberId } from "../../schemas/ids.ts";
import { Refusal } from "../../schemas/refusal.ts";
import { type App, assertAdmin, signedIn } from "../auth.ts";
import { departDevice } from "../departures.ts";
import { describeDevice, findDevice, listDevices, renameDevice, revokeDevice } from "../directory/devices.ts";
import { findMember } from "../directory/members.ts";
import { listLockedOut, releaseShare } from "../directory/shares.ts";
import { enrolByGrant } from "../enrolment.ts";
import { readBody, readValue } from "../input.ts";
import { addressOf, countRequest } from "../limits.ts";

export const devices = new Hono<App>()
  .post("/", async (c) => {
    await countRequest(c.env, "SIGN_IN_LIMIT", addressOf(c.req.raw));
    return c.json(await enrolByGrant(c.env, await readBody(c, LinkedDeviceBody)));
  })
  .get("/", signedIn, async (c) => {
    const { caller } = c.var;
    const member = readValue(MemberId, c.req.query("member") ?? caller.member);
    if (member !== caller.member) {
      assertAdmin(caller);
      if ((await findMember(caller.tenant, c.env.DIRECTORY, member)) === undefined) throw new Refusal("not_found");
    }
    const [rows, lockedOut] = await Promise.all([
      listDevices(caller.tenant, c.env.DIRECTORY, member),
      listLockedOut(caller.tenant, c.env.DIRECTORY, member),
    ]);
    const summaries = rows.map(({ memberId: _, ...summary }) => ({ ...summary, lockedOut: lockedOut.has(summary.id) }));
    return c.json({ devices: summaries } satisfies v.InferOutput<typeof DevicesAnswer>);
  })
  .patch("/:id", signedIn, async (c) => {
    const { caller } = c.var;
    const id = readValue(DeviceId, c.req.param("id"));
    const change = await readBody(c, DevicePatch);
    const device = await findDevice(caller.tenant, c.env.DIRECTORY, id);
    // What a device is called, and is, is its member's business alone
    if (device?.memberId !== caller.member) throw new Refusal("not_found");
    if ("name" in change) await renameDevice(caller.tenant, c.env.DIRECTORY, { device: id, ...change });
    else await describeDevice(caller.tenant, c.env.DIRECTORY, { device: id, ...change });
    return c.body(null, 204);
  })
  .post("/:id/release", signedIn, async (c) => {
    const { caller } = c.var;
    const id = readValue(DeviceId, c.req.param("id"));
    const device = await findDevice(caller.tenant, c.env.DIRECTORY, id);
    // Whose fingers were on its keys is its member's business alone
    if (device?.memberId !== caller.member) throw new Refusal("not_found");
    await releaseShare(caller.tenant, c.env.DIRECTORY, id);
    return c.body(null, 204);
  })
  .delete("/:id", signedIn, async (c) => {
    const { caller } = c.var;
    const { tenant } = caller;
    const id = readValue(DeviceId, c.req.param("id"));
    const device = await findDevice(tenant, c.env.DIRECTORY, id);
    // To somebody who may only see own devices, another member's is as absent as another tenant's
    const own = device?.memberId === caller.member;
    if (device === undefined || (!own && caller.role === "member")) throw new Refusal("not_found");
    if (!own && (await findMember(tenant, c.env.DIRECTORY, device.memberId))?.role === "owner") {
      throw new Refusal("forbidden");
    }
    await revokeDevice(tenant, c.env.DIRECTORY, { device: id, now: Date.now() });
    await departDevice(c.env, caller, { member: device.memberId, device: id });
    return c.body(null, 204);
  });

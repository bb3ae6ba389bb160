// Every kind of frame on the socket of somebody who has just been put out: none is answered.

import { describe, expect, test } from "vitest";
import {
  ClientFrame,
  decodeFrame,
  encodeFrame,
  MailboxClientFrame,
  MailboxServerFrame,
  ServerFrame,
} from "../../schemas/frames.ts";
import { call, decide, openSocket, type Person } from "./support/people.ts";
import { newWorld, type World } from "./support/world.ts";

/** An open socket that has resumed, all it is told from then on, and how it ends. */
async function resumed(path: string, { token }: Person) {
  const socket = (await openSocket(path, token)).webSocket;
  if (!socket) throw new Error("no socket");
  const schema = path.includes("mailbox") ? MailboxServerFrame : ServerFrame;
  const told: string[] = [];
  const ready = new Promise<void>((resolve) => {
    socket.addEventListener("message", ({ data }) => {
      const frame = decodeFrame(schema, new Uint8Array(data as ArrayBuffer));
      told.push(frame?.type ?? "unreadable");
      resolve();
    });
  });
  const ended = new Promise<string>((resolve) => {
    socket.addEventListener("close", ({ code, reason }) => resolve(`${code} ${reason}`));
  });
  socket.binaryType = "arraybuffer";
  socket.accept();
  socket.send(encodeFrame({ type: "resume", after: 0 }));
  await ready;
  return { socket, told, ended };
}

describe("frames of who has been put out", () => {
  const bytes = new Uint8Array(16);
  const samples: Record<string, ClientFrame> = {
    resume: { type: "resume", after: 0 },
    send: { type: "send", id: bytes, bytes },
    commit: { type: "commit", id: bytes, bytes, welcomes: [], groupInfo: bytes },
    confirm: { type: "confirm", seq: 0 },
    pull: { type: "pull", after: 0 },
    group_info: { type: "group_info" },
  };
  const types = ClientFrame.options.map(({ entries }) => entries.type.literal);
  const putOut = {
    "a dismissed participant": {
      by: ({ owner, member, conversation }: World) =>
        call("DELETE", `/api/conversations/${conversation}/members/${member.member}`, owner),
      code: "4000 not_found",
    },
    "a removed member": {
      by: ({ owner, member }: World) => call("DELETE", `/api/members/${member.member}`, owner),
      code: "4000 not_found",
    },
    "a revoked device": {
      by: ({ owner, member }: World) => call("DELETE", `/api/devices/${member.device}`, owner),
      code: "4000 device_revoked",
    },
    "a suspended tenant": {
      by: ({ owner }: World) => decide("PUT", owner.tenant),
      code: "4000 tenant_suspended",
    },
  };

  test("H8: every kind of frame has a sample here", () => {
    expect(Object.keys(samples).sort()).toEqual([...types].sort());
  });

  describe.each(Object.entries(putOut))("of %s", (_, { by, code }) => {
    test.each(types)("H8: a %s frame gets no answer, and the socket ends saying why", async (type) => {
      const world = await newWorld();
      const { socket, told, ended } = await resumed(`/api/conversations/${world.conversation}/socket`, world.member);
      expect(told.splice(0)).toEqual(["ready"]);
      expect((await by(world)).status).toBe(204);
      try {
        socket.send(encodeFrame(samples[type] as ClientFrame));
      } catch (error) {
        // The runtime has seen the close already
        expect(error).toBeInstanceOf(TypeError);
      }
      expect(await ended).toBe(code);
      expect(told).toEqual([]);
    });
  });

  const mailboxTypes = MailboxClientFrame.options.map(({ entries }) => entries.type.literal);
  const shut = [
    ...mailboxTypes.map((type) => ({ who: "a removed member" as const, type, code: "4000 device_revoked" })),
    ...mailboxTypes.map((type) => ({ who: "a suspended tenant" as const, type, code: "4000 tenant_suspended" })),
  ];
  test.each(shut)("H8: the mailbox of $who answers no $type frame and ends", async ({ who, type, code }) => {
    const world = await newWorld();
    const { socket, told, ended } = await resumed("/api/mailbox/socket", world.member);
    told.splice(0);
    await putOut[who].by(world);
    try {
      socket.send(encodeFrame(type === "resume" ? { type, after: 0 } : { type, welcome: 0 }));
    } catch (error) {
      expect(error).toBeInstanceOf(TypeError);
    }
    expect(await ended).toBe(code);
    expect(told.filter((frame) => frame !== "nudges")).toEqual([]);
  });
});

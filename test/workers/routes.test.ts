// Conversations and rate limits through the routes, against a real D1.

import { describe, expect, test, vi } from "vitest";
import { type ConversationId, type MemberId, newId } from "../../schemas/ids.ts";
import { call, env, join, type Person, signIn, signUp } from "./support/people.ts";

const conversations = async (person: Person) => (await call("GET", "/api/conversations", person)).body.conversations;

describe("conversations", () => {
  const found = (by: Person, id: ConversationId, members: MemberId[]) =>
    call("POST", "/api/conversations", { token: by.token, body: { id, members } });

  test("H24: founded once, listed to everybody in it and to nobody else; again alike it stays one", async () => {
    const owner = await signUp();
    const [anna, ben] = [await join(owner), await join(owner)];
    const id = newId<ConversationId>();
    expect((await found(owner, id, [anna.member])).status).toBe(204);
    expect((await found(owner, id, [anna.member, anna.member, owner.member])).status).toBe(204);
    expect((await found(owner, id, [ben.member])).body.code).toBe("conflict");
    expect((await found(ben, id, [anna.member])).body.code).toBe("conflict");
    const listed = { id, createdBy: owner.member, members: [anna.member, owner.member].sort() };
    expect(await conversations(anna)).toMatchObject([listed]);
    expect(await conversations(owner)).toMatchObject([listed]);
    expect(await conversations(ben)).toEqual([]);
  });

  test("H24: founding with a removed, foreign or absent member is not_found alike", async () => {
    const [owner, stranger] = [await signUp(), await signUp()];
    const gone = await join(owner);
    await call("DELETE", `/api/members/${gone.member}`, owner);
    const answers = [];
    for (const member of [gone.member, stranger.member, newId<MemberId>()]) {
      answers.push(await found(owner, newId(), [member]));
    }
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(answers[0]?.body.code).toBe("not_found");
  });

  test("H24: any participant adds; creator and admins remove others; anybody leaves", async () => {
    const owner = await signUp();
    const [anna, ben, carl] = [await join(owner), await join(owner), await join(owner)];
    const id = newId<ConversationId>();
    await found(anna, id, [ben.member]);
    const add = (by: Person, member: MemberId) =>
      call("POST", `/api/conversations/${id}/members`, { token: by.token, body: { member } });
    const drop = (by: Person, member: MemberId) => call("DELETE", `/api/conversations/${id}/members/${member}`, by);
    expect((await add(carl, carl.member)).body.code).toBe("not_found");
    expect((await drop(owner, ben.member)).body.code).toBe("not_found");
    expect((await add(ben, carl.member)).status).toBe(204);
    expect((await add(ben, carl.member)).status).toBe(204);
    expect((await add(ben, newId())).body.code).toBe("not_found");
    expect((await drop(ben, carl.member)).body.code).toBe("forbidden");
    expect((await drop(anna, carl.member)).status).toBe(204);
    expect((await drop(anna, carl.member)).status).toBe(204);
    expect((await drop(ben, ben.member)).status).toBe(204);
    expect((await drop(ben, ben.member)).status).toBe(204);
    expect((await add(ben, carl.member)).body.code).toBe("not_found");
    expect(await conversations(ben)).toEqual([]);
    expect(await conversations(anna)).toMatchObject([{ members: [anna.member] }]);
  });

  test("H8: a removed member is out of every list", async () => {
    const owner = await signUp();
    const anna = await join(owner);
    const id = newId<ConversationId>();
    await found(owner, id, [anna.member]);
    await call("DELETE", `/api/members/${anna.member}`, owner);
    expect(await conversations(owner)).toMatchObject([{ id, members: [owner.member] }]);
  });
});

describe("rate limits", () => {
  test("H17: sign-up counts by address, and says when to come back", async () => {
    const headers = { "cf-connecting-ip": "203.0.113.7" };
    const answers = [];
    for (let n = 0; n < 12; n++) answers.push(await call("POST", "/api/tenants", { headers, body: {} }));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]?.body).toEqual({ code: "rate_limited", remedy: "retry", detail: { retryAfter: 60_000 } });
    expect(refused[0]?.headers.get("retry-after")).toBe("60");
    expect((await call("POST", "/api/tenants", { body: {} })).status).toBe(400);
  });

  test("H17: invites and sign-in count by address too, an IPv6 caller by its /64", async () => {
    const limit = vi.fn(async () => ({ success: false }));
    const refusing = { ...env, INVITE_LIMIT: { limit }, API_LIMIT: { limit } };
    const headers = { "cf-connecting-ip": "2001:db8:1:2:3:4:5:6" };
    for (const path of ["/api/invites/look", "/api/members", "/api/tokens", "/api/challenges"]) {
      expect((await call("POST", path, { headers, body: {}, env: refusing })).status).toBe(429);
    }
    expect(limit.mock.calls).toEqual(Array(4).fill([{ key: "2001:db8:1:2" }]));
  });

  test("H17: sign-in is counted by device too, so that one office behind one address can sign in at once", async () => {
    const owner = await signUp();
    const limit = vi.fn(async () => ({ success: false }));
    const answer = await signIn(owner, { env: { ...env, SIGN_IN_LIMIT: { limit } } });
    expect(answer).toMatchObject({ status: 429, body: { code: "rate_limited" } });
    expect(limit.mock.calls).toEqual([[{ key: owner.device }]]);
  });

  test("H17: a deployment without its limits refuses, a simulated one goes on", async () => {
    const { SIGNUP_LIMIT: _, ...without } = env;
    expect((await call("POST", "/api/tenants", { body: {}, env: without })).status).toBe(400);
    const platform = { ...without, RESIDENCY: "platform" };
    expect((await call("POST", "/api/tenants", { body: {}, env: platform })).body.code).toBe("unavailable");
  });
});

// Proves the form of invite links: what is made is read back, and nothing else is.

import fc from "fast-check";
import { expect, test } from "vitest";
import { makeInviteLink, parseInviteLink } from "../../client/engine/invite-link.ts";
import { toBase64url } from "../../schemas/bytes.ts";
import { type InviteId, newId } from "../../schemas/ids.ts";
import { isRefusal } from "../../schemas/refusal.ts";

const invite = newId<InviteId>();
const secret = new Uint8Array(32).fill(255);
const good = `https://kuvert.example/join#${invite}.${toBase64url(secret)}`;

test("A40: a link is read back as it was made, with the secret in the fragment only", () => {
  const servers = [
    "https://kuvert.example",
    "https://kuvert.example:8443",
    "http://localhost:8787",
    "http://127.0.0.1:1",
    "http://[::1]:9",
  ];
  for (const server of servers) {
    const link = makeInviteLink({ server: `${server}/`, invite, secret });
    expect(parseInviteLink(` ${link}\n`)).toEqual({ server, invite, secret });
    expect(new URL(link).pathname + new URL(link).search).toBe("/join");
  }
  expect(makeInviteLink({ server: "https://kuvert.example", invite, secret })).toBe(good);
});

test.for([
  "",
  "kuvert.example",
  invite,
  good.replace("https", "http"),
  good.replace("https", "ftp"),
  good.replace("https://", "https://user:pass@"),
  good.replace("/join", "/"),
  good.replace("/join", "/join/"),
  good.replace("/join", "/join?x=1"),
  good.replace("#", "?"),
  good.replace(".example/join#", ".example/join#x"),
  good.slice(0, -1),
  `${good}A`,
  `${good}.more`,
  `${good}=`,
  good.replace(toBase64url(secret), ""),
  good.replace("https://kuvert.example", "https://"),
  good.replace("https://kuvert.example", "http://localhost.evil.example"),
  good.replace("https://kuvert.example", "http://192.168.0.9"),
])("A40: %j is refused as no invite link", (text) => {
  expect(() => parseInviteLink(text)).toThrow(expect.objectContaining({ code: "malformed" }));
});

test("A40: any text is read as a link or refused", () => {
  const pasted = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.webUrl({ withFragments: true }),
    fc
      .tuple(fc.nat(good.length), fc.string({ unit: "binary", maxLength: 3 }))
      .map(([at, text]) => good.slice(0, at) + text + good.slice(at + 1)),
  );
  fc.assert(
    fc.property(pasted, (text) => {
      try {
        const parsed = parseInviteLink(text);
        expect(parseInviteLink(makeInviteLink(parsed))).toEqual(parsed);
      } catch (error) {
        if (!isRefusal(error)) throw error;
      }
    }),
  );
});

// The table of who may ask what: every route against every way to be somebody else and every
// kind of id. It is generated from the app's own routes, so that a new one without a row fails here.

import { UnsecuredJWT } from "jose";
import { beforeAll, describe, expect, test } from "vitest";
import { utf8 } from "../../schemas/bytes.ts";
import { newId } from "../../schemas/ids.ts";
import { DEFAULT_POLICY } from "../../schemas/policy.ts";
import { app } from "../../workers/app.ts";
import { type Answer, call, closingOf, env, join, openSocket, type Person, signUp, suspend } from "./support/people.ts";
import { claimsOf, forge, kidOf } from "./support/tokens.ts";
import { newWorld, type World } from "./support/world.ts";

/** What stands in for an id: the caller's tenant's, another tenant's, nobody's, or none. */
type Kind = "own" | "foreign" | "absent" | "malformed";
type What = "member" | "device" | "invite" | "conversation";

/** What an id of each kind is called in each place. */
type Ids = Readonly<Record<What, string>>;

interface Row {
  /** Ids in the address or body whose kind is varied. */
  readonly ids: readonly What[];
  readonly path: (ids: Ids) => string;
  readonly body?: (ids: Ids) => unknown;
  readonly open?: true;
  readonly socket?: true;
  /** Only owner and admins: members are refused `forbidden`. */
  readonly admin?: true;
  /** Status for an own id. */
  readonly own: number;
}

const key = "A".repeat(43);
const packages = [{ bytes: "AAAA", expiresAt: Date.now() + 3_600_000, lastResort: false }];
const suspension = () => `/api/operator/tenants/${newId()}/suspension`;
const ownerReturn = () => `/api/operator/tenants/${newId()}/owner-return`;
const invite = { secretHash: key, role: "member", uses: 1, expiresIn: 60_000 };

const TABLE: Readonly<Record<string, Row>> = {
  "GET /api/about": { ids: [], path: () => "/api/about", open: true, own: 200 },
  "POST /api/tenants": { ids: [], path: () => "/api/tenants", body: () => ({}), open: true, own: 400 },
  "POST /api/challenges": { ids: [], path: () => "/api/challenges", body: () => ({}), open: true, own: 400 },
  "POST /api/tokens": { ids: [], path: () => "/api/tokens", body: () => ({}), open: true, own: 400 },
  "POST /api/invites/look": {
    ids: ["invite"],
    path: () => "/api/invites/look",
    body: (ids) => ({ invite: ids.invite, secret: key }),
    open: true,
    own: 404,
  },
  "POST /api/members": { ids: [], path: () => "/api/members", body: () => ({}), open: true, own: 400 },
  "GET /api/tenant": { ids: [], path: () => "/api/tenant", own: 200 },
  "PATCH /api/tenant": {
    ids: [],
    path: () => "/api/tenant",
    body: () => ({ policy: DEFAULT_POLICY }),
    admin: true,
    own: 204,
  },
  "POST /api/invites": {
    ids: ["member"],
    path: () => "/api/invites",
    body: (ids) => ({ id: newId(), ...invite, member: ids.member }),
    admin: true,
    own: 204,
  },
  "GET /api/invites": { ids: [], path: () => "/api/invites", admin: true, own: 200 },
  "DELETE /api/invites/:id": { ids: ["invite"], path: (ids) => `/api/invites/${ids.invite}`, admin: true, own: 204 },
  "GET /api/members": { ids: [], path: () => "/api/members", own: 200 },
  "PATCH /api/members/:id": {
    ids: ["member"],
    path: (ids) => `/api/members/${ids.member}`,
    body: () => ({ role: "member" }),
    admin: true,
    own: 204,
  },
  "DELETE /api/members/:id": { ids: ["member"], path: (ids) => `/api/members/${ids.member}`, admin: true, own: 204 },
  "POST /api/members/:id/key-packages": {
    ids: ["member"],
    path: (ids) => `/api/members/${ids.member}/key-packages`,
    own: 200,
  },
  "GET /api/devices": { ids: ["member"], path: (ids) => `/api/devices?member=${ids.member}`, admin: true, own: 200 },
  "PATCH /api/devices/:id": {
    ids: ["device"],
    path: (ids) => `/api/devices/${ids.device}`,
    body: () => ({ name: "Laptop" }),
    // What a device is called is not the owner's business either
    own: 404,
  },
  "POST /api/devices/:id/release": {
    ids: ["device"],
    path: (ids) => `/api/devices/${ids.device}/release`,
    own: 404,
  },
  "DELETE /api/devices/:id": { ids: ["device"], path: (ids) => `/api/devices/${ids.device}`, own: 204 },
  "POST /api/key-packages": { ids: [], path: () => "/api/key-packages", body: () => ({ packages }), own: 204 },
  "POST /api/conversations": {
    ids: ["member"],
    path: () => "/api/conversations",
    body: (ids) => ({ id: newId(), members: [ids.member] }),
    own: 204,
  },
  "GET /api/conversations": { ids: [], path: () => "/api/conversations", own: 200 },
  "POST /api/conversations/:id/members": {
    ids: ["conversation", "member"],
    path: (ids) => `/api/conversations/${ids.conversation}/members`,
    body: (ids) => ({ member: ids.member }),
    own: 204,
  },
  "DELETE /api/conversations/:id/members/:member": {
    ids: ["conversation", "member"],
    path: (ids) => `/api/conversations/${ids.conversation}/members/${ids.member}`,
    own: 204,
  },
  "GET /api/conversations/:id/socket": {
    ids: ["conversation"],
    path: (ids) => `/api/conversations/${ids.conversation}/socket`,
    socket: true,
    own: 101,
  },
  "GET /api/mailbox/socket": { ids: [], path: () => "/api/mailbox/socket", socket: true, own: 101 },
  "POST /api/devices": { ids: [], path: () => "/api/devices", body: () => ({}), open: true, own: 400 },
  // Names in a vault and of meeting places are the caller's own or nobody's: there is no foreign one to tell apart (V2, L5)
  "GET /api/vault/:shelf": { ids: [], path: () => "/api/vault/backup", own: 200 },
  "GET /api/vault/:shelf/:id": { ids: [], path: () => `/api/vault/backup/${newId()}`, own: 404 },
  "PUT /api/vault/:shelf/:id": { ids: [], path: () => `/api/vault/backup/${newId()}`, body: () => ({}), own: 204 },
  "DELETE /api/vault/:shelf/:id": { ids: [], path: () => `/api/vault/backup/${newId()}`, own: 204 },
  "GET /api/recovery": { ids: [], path: () => "/api/recovery", own: 200 },
  "PUT /api/recovery": { ids: [], path: () => "/api/recovery", body: () => ({}), own: 400 },
  "DELETE /api/recovery": { ids: [], path: () => "/api/recovery", own: 204 },
  "POST /api/recovery/challenges": {
    ids: [],
    path: () => "/api/recovery/challenges",
    body: () => ({}),
    open: true,
    own: 400,
  },
  "POST /api/recovery/tokens": { ids: [], path: () => "/api/recovery/tokens", body: () => ({}), open: true, own: 400 },
  "POST /api/recovery/passkey/challenges": {
    ids: [],
    path: () => "/api/recovery/passkey/challenges",
    open: true,
    own: 200,
  },
  "POST /api/recovery/passkey/tokens": {
    ids: [],
    path: () => "/api/recovery/passkey/tokens",
    body: () => ({}),
    open: true,
    own: 400,
  },
  // A passkey is its member's alone, so that one of another is as absent as none (Y13)
  "GET /api/passkeys": { ids: [], path: () => "/api/passkeys", own: 200 },
  "POST /api/passkeys/challenges": { ids: [], path: () => "/api/passkeys/challenges", own: 200 },
  "POST /api/passkeys": { ids: [], path: () => "/api/passkeys", body: () => ({}), own: 400 },
  "DELETE /api/passkeys/:id": { ids: [], path: () => `/api/passkeys/${newId()}`, own: 404 },
  // These take the token of a recovery phrase or passkey and no device's
  "GET /api/recovery/backup": { ids: [], path: () => "/api/recovery/backup", open: true, own: 401 },
  "GET /api/recovery/backup/:id": { ids: [], path: () => `/api/recovery/backup/${newId()}`, open: true, own: 401 },
  "POST /api/recovery/device": { ids: [], path: () => "/api/recovery/device", body: () => ({}), open: true, own: 401 },
  "POST /api/links": { ids: [], path: () => "/api/links", body: () => ({ id: newId(), offer: "AAAA" }), own: 204 },
  "GET /api/links/:id": { ids: [], path: () => `/api/links/${newId()}`, open: true, own: 404 },
  "POST /api/links/:id/hello": {
    ids: [],
    path: () => `/api/links/${newId()}/hello`,
    body: () => ({ bytes: "AAAA" }),
    open: true,
    own: 404,
  },
  "POST /api/links/:id/reveal": { ids: [], path: () => `/api/links/${newId()}/reveal`, own: 404 },
  "POST /api/links/:id/handover": { ids: [], path: () => `/api/links/${newId()}/handover`, own: 404 },
  "DELETE /api/links/:id": { ids: [], path: () => `/api/links/${newId()}`, open: true, own: 204 },
  // To everybody but the operator these are not there; what the operator may is in decrees.test.ts and returns.test.ts
  "GET /api/operator/tenants/:id/suspension": { ids: [], path: suspension, open: true, own: 404 },
  "PUT /api/operator/tenants/:id/suspension": { ids: [], path: suspension, open: true, own: 404 },
  "DELETE /api/operator/tenants/:id/suspension": { ids: [], path: suspension, open: true, own: 404 },
  "POST /api/operator/tenants/:id/owner-return": { ids: [], path: ownerReturn, body: () => ({}), open: true, own: 404 },
  "GET /api/keys/head": { ids: [], path: () => "/api/keys/head", own: 200 },
  "GET /api/keys/leaves": { ids: [], path: () => "/api/keys/leaves?from=0", own: 200 },
  "GET /api/keys/proof": { ids: [], path: () => `/api/keys/proof?leaf=${key}&size=1`, own: 404 },
  "GET /api/keys/growth": { ids: [], path: () => "/api/keys/growth?first=8&second=9", own: 404 },
  // A share's secret is all that names it and all the proof there is (H41)
  "POST /api/shares/open": { ids: [], path: () => "/api/shares/open", body: () => ({}), open: true, own: 400 },
  "POST /api/shares/change": { ids: [], path: () => "/api/shares/change", body: () => ({}), open: true, own: 400 },
};
const rows = Object.entries(TABLE).map(([name, row]) => ({ name, ...row, method: name.split(" ")[0] ?? "" }));

const idsOf = ({ member, conversation, invite }: World): Ids => ({
  member: member.member,
  device: member.device,
  conversation,
  invite,
});
const absent = (): Ids => ({ member: newId(), device: newId(), conversation: newId(), invite: newId() });
const malformed: Ids = { member: "..%2F", device: "%00", conversation: `${"A".repeat(21)}B`, invite: "__proto__" };

/** The ids of a request in which the one called `what` is of `kind` and all others are the caller's own. */
function idsFor(world: World, other: World, what: What, kind: Kind): Ids {
  const kinds = { own: idsOf(world), foreign: idsOf(other), absent: absent(), malformed };
  return { ...idsOf(world), [what]: kinds[kind][what] };
}

interface Outcome {
  readonly status: number;
  readonly code: string | null;
  /** All that can be told apart from outside, to the byte. */
  readonly bytes: string;
}

async function ask(row: (typeof rows)[number], ids: Ids, token: string | undefined): Promise<Outcome> {
  if (row.socket) {
    const response = await openSocket(row.path(ids), token);
    const headers = JSON.stringify([...response.headers].sort());
    const closing = await Promise.race([closingOf(response), scheduler.wait(200).then(() => null)]);
    return {
      status: response.status,
      code: closing?.reason ?? null,
      bytes: JSON.stringify([response.status, headers, closing]),
    };
  }
  const answer: Answer = await call(row.method, row.path(ids), { token, ...(row.body ? { body: row.body(ids) } : {}) });
  const headers = JSON.stringify([...answer.headers].sort());
  return {
    status: answer.status,
    code: answer.body?.code ?? null,
    bytes: `${answer.status} ${headers} ${answer.text}`,
  };
}

test("H15: every route of the app has its row, and every row its route", () => {
  const routes = app.routes.filter(({ method }) => method !== "ALL").map(({ method, path }) => `${method} ${path}`);
  expect(new Set(routes)).toEqual(new Set(Object.keys(TABLE)));
  const catchAll = app.routes.filter(({ method }) => method === "ALL").map(({ path }) => path);
  expect(catchAll).toEqual(["/api/*"]);
});

describe("who is nobody gets nothing", () => {
  const nobodies: Record<string, { token: () => string | undefined | Promise<string>; code: string }> = {};
  let world: World;
  let other: World;
  let outsiders: { removed: Person; revoked: Person; suspended: Person };

  beforeAll(async () => {
    [world, other] = [await newWorld(), await newWorld()];
    const [removed, revoked, suspended] = [await join(world.owner), await join(world.owner), await signUp()];
    await call("DELETE", `/api/members/${removed.member}`, world.owner);
    await call("DELETE", `/api/devices/${revoked.device}`, world.owner);
    await suspend(suspended.tenant);
    outsiders = { removed, revoked, suspended };
  });

  const resigned = (change: object) => {
    const { token } = world.owner;
    return forge({ ...claimsOf(token), ...change }, { secret: utf8(env.TOKEN_SECRET), kid: kidOf(token) });
  };
  nobodies["no token"] = { token: () => undefined, code: "unauthenticated" };
  nobodies["an expired token"] = { token: () => resigned({ exp: 1_000_000_000 }), code: "token_expired" };
  nobodies["a token for another audience"] = { token: () => resigned({ aud: "challenge" }), code: "unauthenticated" };
  nobodies["a token of algorithm none"] = {
    token: () => new UnsecuredJWT(claimsOf(world.owner.token)).encode(),
    code: "unauthenticated",
  };
  nobodies["another tenant in a token of this one's device"] = {
    token: () => resigned({ tenant: other.owner.tenant }),
    code: "unauthenticated",
  };
  nobodies["a removed member"] = { token: () => outsiders.removed.token, code: "device_revoked" };
  nobodies["a revoked device"] = { token: () => outsiders.revoked.token, code: "device_revoked" };
  nobodies["a suspended tenant"] = { token: () => outsiders.suspended.token, code: "tenant_suspended" };

  const guarded = rows.filter(({ open }) => !open);
  describe.each(Object.keys(nobodies))("with %s", (who) => {
    // Sockets ask no D1, so there the signature is all: a token that claims another tenant cannot be made without the secret
    const asked = who.startsWith("another tenant") ? guarded.filter(({ socket }) => !socket) : guarded;
    test.each(asked)("H15: $name is refused alike for own, foreign, absent and malformed ids", async (row) => {
      const { token, code } = nobodies[who] ?? { token: () => "", code: "" };
      const kinds: Kind[] = row.ids.length === 0 ? ["own"] : ["own", "foreign", "absent", "malformed"];
      const answers = [];
      for (const kind of kinds) {
        for (const what of row.ids.length === 0 ? (["member"] as const) : row.ids) {
          answers.push(await ask(row, idsFor(world, other, what, kind), await token()));
        }
      }
      expect(answers[0]?.code).toBe(code);
      expect(new Set(answers.map(({ bytes }) => bytes)).size).toBe(1);
    });
  });
});

describe("who is somebody", () => {
  const withIds = rows.filter(({ ids }) => ids.length > 0);

  test.each(withIds)("H15: $name answers for a foreign id as for an absent one, to the byte", async (row) => {
    const [world, other] = [await newWorld(), await newWorld()];
    for (const person of [world.owner, world.member]) {
      for (const what of row.ids) {
        const foreign = await ask(row, idsFor(world, other, what, "foreign"), person.token);
        const nobody = await ask(row, idsFor(world, other, what, "absent"), person.token);
        expect(foreign.bytes).toBe(nobody.bytes);
        const forbidden =
          row.admin === true &&
          person === world.member &&
          row.name !== "PATCH /api/members/:id" &&
          row.name !== "DELETE /api/members/:id";
        expect(foreign.code).toBe(forbidden ? "forbidden" : "not_found");
      }
    }
  });

  test.each(withIds)("H15: $name refuses a malformed id as malformed", async (row) => {
    const [world, other] = [await newWorld(), await newWorld()];
    for (const what of row.ids) {
      expect((await ask(row, idsFor(world, other, what, "malformed"), world.owner.token)).code).toBe("malformed");
    }
  });

  test.each(rows)("H15: $name answers its own tenant", async (row) => {
    const world = await newWorld();
    const answer = await ask(row, idsOf(world), world.owner.token);
    expect({ status: answer.status, code: answer.status < 300 ? answer.code : null }).toEqual({
      status: row.own,
      code: null,
    });
  });

  test.each(rows.filter(({ admin }) => admin))("H7: $name is for owner and admins", async (row) => {
    const world = await newWorld();
    const ids = row.name === "GET /api/devices" ? { ...idsOf(world), member: world.owner.member } : idsOf(world);
    expect((await ask(row, ids, world.member.token)).code).toBe("forbidden");
    const admin = await join(world.owner, "admin");
    expect((await ask(row, ids, admin.token)).status).toBe(row.own);
  });
});

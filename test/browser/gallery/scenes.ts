// The states the gallery can show: a small bakery's day, and the moments one hopes never to see.

import type { ConversationView, MessageView, Snapshot } from "../../../client/engine/view.ts";
import type { ConversationId, DeviceId, InviteId, MemberId, PasskeyId, TenantId } from "../../../schemas/ids.ts";
import { DEFAULT_POLICY } from "../../../schemas/policy.ts";
import { Refusal, type RefusalCode } from "../../../schemas/refusal.ts";
import type { FakeState } from "./fake-engine.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const id = <Id extends string>(name: string): Id => name.padEnd(21, "x").concat("A") as Id;
const PEOPLE = ["Anna Sommer", "Ben Aydın", "Carla Winkler", "Deniz Yıldız", "Emil Hartmann", "Frieda Öztürk-Lindner"];
const members = PEOPLE.map((name, index) => ({
  id: id<MemberId>(
    `m${name
      .split(" ")[0]
      ?.normalize("NFD")
      .replace(/[^A-Za-z]/g, "")}`,
  ),
  name,
  role: (["owner", "admin"] as const)[index] ?? ("member" as const),
  removed: false,
  key: (["unknown", "known", "verified"] as const)[index] ?? ("known" as const),
}));
const [anna, ben, carla, deniz, emil, frieda] = members.map((member) => member.id) as [
  MemberId,
  MemberId,
  MemberId,
  MemberId,
  MemberId,
  MemberId,
];

const TEAM = id<ConversationId>("cTeam");
const BEN = id<ConversationId>("cBen");
const FRIEDA = id<ConversationId>("cFrieda");
const noon = new Date().setHours(12, 0, 0, 0);
const now = Date.now();
const anybody = { revoked: false, member: null, byOperator: false } as const;
const returning = { revoked: false, member: anna, byOperator: true } as const;

function line(key: string, from: MemberId, at: number, text: string, more: Partial<MessageView> = {}): MessageView {
  const mine = from === anna;
  const state = mine ? "delivered" : "received";
  return {
    key,
    seq: null,
    from,
    mine,
    at,
    body: { kind: "text", text },
    state,
    refusal: null,
    expiresAt: null,
    ...more,
  };
}

function conversation(name: string, more: Partial<ConversationView>): ConversationView {
  return {
    id: id<ConversationId>(name),
    title: null,
    kind: "group",
    members: [anna, ben],
    createdBy: anna,
    state: "active",
    fault: null,
    unread: 0,
    pinned: false,
    muted: null,
    draft: "",
    last: null,
    expiresIn: null,
    activeAt: now,
    held: null,
    ...more,
  };
}

const team = [
  line("t0", anna, noon - DAY - 5 * HOUR, "", { body: { kind: "created" } }),
  line("t1", anna, noon - DAY - 5 * HOUR, "", { body: { kind: "added", members: [ben, carla, deniz, emil] } }),
  line(
    "t2",
    anna,
    noon - DAY - 4 * HOUR,
    "Guten Morgen zusammen! Ab heute läuft alles, was die Backstube betrifft, hier.",
  ),
  line("t3", carla, noon - DAY - 4 * HOUR + MINUTE, "Sehr gut. Dann muss ich nicht mehr drei Zettel lesen."),
  line("t4", ben, noon - DAY - 3 * HOUR, "Die Lieferung Roggenmehl kommt morgen erst um sieben."),
  line("t5", ben, noon - DAY - 3 * HOUR + MINUTE, "Reicht uns das, was da ist?"),
  line("t6", deniz, noon - DAY - 3 * HOUR + 9 * MINUTE, "Für die erste Ladung ja, für die zweite wird es knapp."),
  line("t7", anna, noon - 6 * HOUR, "", { body: { kind: "timer", expiresIn: DAY } }),
  line(
    "t8",
    emil,
    noon - 5 * HOUR,
    "Der Ofen 2 heizt wieder normal. Techniker war um halb sechs da, Protokoll liegt im Büro.",
  ),
  line("t9", anna, noon - 5 * HOUR + MINUTE, "Danke dir, Emil!", { expiresAt: now + 20 * HOUR }),
  line(
    "t10",
    anna,
    noon - 5 * HOUR + 2 * MINUTE,
    "Die Anleitung für den neuen Timer: https://www.backhaus-technik.de/anleitung-steuerung",
    { state: "sent", expiresAt: now + 3 * HOUR + 12 * MINUTE },
  ),
  line("t11", carla, noon - 2 * HOUR, "Zugangscode für den Lieferanteneingang heute: 4471", {
    expiresAt: now + 42_000,
  }),
  line("t12", carla, noon - 2 * HOUR + MINUTE, "Bitte nicht weitergeben 🙏"),
  line("t13", ben, noon - HOUR, "Verstanden."),
];
const direct = [
  line("b1", ben, noon - 3 * HOUR, "Kannst du heute die Kasse machen?"),
  line("b2", anna, noon - 3 * HOUR + MINUTE, "Ja, ab 16 Uhr."),
  line("b3", anna, noon - HOUR, "Soll ich den Umschlag in den Tresor legen?", {
    state: "failed",
    refusal: "rate_limited",
  }),
  line("b4", anna, noon - HOUR + 8 * MINUTE, "Und wer schließt ab?", { state: "waiting" }),
];

function long(count: number): MessageView[] {
  return Array.from({ length: count }, (_, index) =>
    line(
      `l${index}`,
      index % 7 < 3 ? anna : ben,
      now - (count - index) * 4 * MINUTE,
      `Zeile ${index} `.repeat((index % 9) + 1),
    ),
  );
}

const conversations: readonly ConversationView[] = [
  conversation("cTeam", {
    title: "Backstube",
    pinned: true,
    members: [anna, ben, carla, deniz, emil],
    unread: 2,
    last: { from: ben, text: "Verstanden.", at: noon - HOUR },
    expiresIn: DAY,
  }),
  conversation("cBen", {
    kind: "direct",
    last: { from: anna, text: "Und wer schließt ab?", at: noon - HOUR },
  }),
  conversation("cShop", {
    members: [anna, ben, frieda, emil],
    last: {
      from: frieda,
      text: "Die Aushilfe für Samstag hat zugesagt, sie kommt um sechs und bleibt bis zum Schluss.",
      at: noon - DAY,
    },
    unread: 14,
    muted: { until: now + 8 * HOUR },
  }),
  conversation("cWedding", {
    title: "Hochzeitstorte Familie Brückner, Samstag in zwei Wochen",
    members: [anna, carla],
    last: { from: carla, text: "Fünf Stockwerke?!", at: noon - 3 * DAY },
  }),
  conversation("cFrieda", { kind: "direct", members: [anna, frieda], state: "joining", last: null }),
  conversation("cOld", {
    title: "Sommerfest",
    state: "ended",
    members: [anna, ben],
    activeAt: noon - 40 * DAY,
    last: null,
  }),
  conversation("cBroken", {
    title: "Einkauf",
    state: "broken",
    fault: "altered",
    members: [anna, deniz],
    activeAt: noon - 50 * DAY,
  }),
  conversation("cLong", {
    title: "Archiv",
    members: [anna, ben],
    activeAt: noon - 60 * DAY,
    last: { from: ben, text: "Zeile 4999", at: noon - 60 * DAY },
  }),
];

const ready: Snapshot = {
  phase: "ready",
  code: null,
  connection: "online",
  account: {
    tenant: { id: id<TenantId>("t"), name: "Bäckerei Sommer", residency: "eu" },
    member: { id: anna, name: "Anna Sommer", role: "owner" },
    device: id<DeviceId>("d"),
  },
  policy: DEFAULT_POLICY,
  residency: "simulated",
  safekeeping: { phrase: "confirmed", backup: "current" },
  linking: null,
  conversations,
  members,
  findings: [],
};

const fresh: Snapshot = { ...ready, phase: "fresh", account: null, policy: null, conversations: [], members: [] };

const SNAPSHOTS: Readonly<Record<string, Snapshot>> = {
  busy: ready,
  empty: { ...ready, conversations: [] },
  alone: { ...ready, conversations: [], members: members.slice(0, 1) },
  handing: { ...ready, linking: { kind: "handing", name: "Safari auf iPhone", done: 7, total: 12 } },
  offline: { ...ready, connection: "offline" },
  changed: {
    ...ready,
    conversations: conversations.map((each) =>
      each.id === BEN ? { ...each, held: { reason: "changed", members: [ben] } } : each,
    ),
    members: members.map((each) => (each.id === ben ? { ...each, key: "changed" } : each)),
  },
  outside: {
    ...ready,
    conversations: conversations.map((each) =>
      each.id === BEN || each.id === FRIEDA ? { ...each, held: { reason: "outside", members: [] } } : each,
    ),
  },
  findings: {
    ...ready,
    findings: [
      { id: "ghost", kind: "ghost", member: ben, at: now },
      { id: "forked", kind: "forked", member: null, at: now },
    ],
  },
  entering: { ...fresh, linking: { kind: "entering" } },
  arriving: { ...fresh, linking: { kind: "arriving", done: 0, total: 0 } },
  connecting: { ...ready, connection: "connecting" },
  loading: { ...fresh, phase: "loading" },
  suspended: { ...fresh, phase: "ended", code: "tenant_suspended" },
  ended: { ...fresh, phase: "ended", code: "device_revoked" },
  fresh,
};

/** `refused-<code>` is an invite refused with that code. */
export function scene(name: string): FakeState {
  const refused = /^refused-(\w+)$/.exec(name)?.[1] as RefusalCode | undefined;
  return {
    snapshot: SNAPSHOTS[name] ?? fresh,
    timelines: new Map([
      [TEAM, team],
      [BEN, direct],
      [id<ConversationId>("cLong"), long(5_000)],
    ]),
    preview:
      refused === undefined
        ? {
            organisation: "Bäckerei Sommer",
            inviter: "Anna Sommer",
            role: "member",
            residency: "eu",
            returning: name === "returning" ? "Ben Krause" : null,
          }
        : new Refusal(refused),
    devices: [
      {
        id: id<DeviceId>("d"),
        name: "Firefox auf Windows",
        kind: "computer",
        createdAt: now - DAY,
        lastUsedAt: now,
        revoked: false,
        own: true,
        lockedOut: false,
      },
      {
        id: id<DeviceId>("e"),
        name: "Safari auf iPhone",
        kind: "phone",
        createdAt: now - DAY,
        lastUsedAt: now - DAY,
        revoked: false,
        own: false,
        lockedOut: true,
      },
      {
        id: id<DeviceId>("f"),
        name: "Chrome auf Linux",
        kind: "terminal",
        createdAt: now - DAY,
        lastUsedAt: now - 9 * DAY,
        revoked: true,
        own: false,
        lockedOut: false,
      },
    ],
    passkeys: [
      {
        id: id<PasskeyId>("p"),
        name: "iPhone von Anna",
        credential: "AAAA",
        createdAt: now - 9 * DAY,
        usedAt: now - DAY,
      },
      {
        id: id<PasskeyId>("q"),
        name: "Sicherheitsschlüssel im Tresor",
        credential: "AAAB",
        createdAt: now,
        usedAt: null,
      },
    ],
    invites: [
      { id: id<InviteId>("i"), role: "member", usesLeft: 4, expiresAt: now + 6 * DAY, ...anybody },
      { id: id<InviteId>("j"), role: "admin", usesLeft: 1, expiresAt: now - DAY, ...anybody },
      { id: id<InviteId>("k"), role: "member", usesLeft: 0, expiresAt: now + DAY, ...anybody },
      { id: id<InviteId>("l"), role: "owner", usesLeft: 1, expiresAt: now + DAY, ...returning },
    ],
  };
}

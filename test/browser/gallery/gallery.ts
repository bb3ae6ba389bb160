// Mounts the whole client over the fake engine, in the state that the address asks for (?scene=…).

import "../../../client/ui/styles/all.css";
import { App } from "../../../client/ui/app.tsx";
import { createComponent, render } from "../../../client/ui/dom.ts";
import { speakPreferred } from "../../../client/ui/language.ts";
import type { Place } from "../../../client/ui/wire.ts";
import { createFakeEngine } from "./fake-engine.ts";
import { scene } from "./scenes.ts";

const query = new URLSearchParams(location.search);
const engine = createFakeEngine(scene(query.get("scene") ?? "busy"));
const PASSKEY = { credential: "AAAA", salt: new Uint8Array(16) };
const GATES: Readonly<Record<string, Place>> = {
  unreachable: { kind: "unreachable" },
  guarded: { kind: "guarded", passkey: null, tried: null },
  wrong: { kind: "guarded", passkey: null, tried: { kind: "wrong", left: 4, retryAfter: 60_000 } },
  locked: { kind: "guarded", passkey: null, tried: { kind: "locked", left: 0, retryAfter: 0 } },
  passkey: { kind: "guarded", passkey: PASSKEY, tried: null },
  "passkey-wrong": { kind: "guarded", passkey: PASSKEY, tried: { kind: "wrong", left: 9, retryAfter: 0 } },
  shut: { kind: "shut", code: "device_revoked" },
};
const asked = query.get("place") ?? "here";
const place = GATES[asked] ?? (asked as Place);
const minutes = query.get("lock");

Object.assign(globalThis, { engine });
await speakPreferred();
render(
  () =>
    createComponent(App as (props: object) => Node, {
      remote: {
        engine,
        onPlace: (listener: (place: Place) => void) => listener(place),
        take: () => undefined,
        lock: {
          view: () =>
            minutes === null ? null : { minutes: Number(minutes), passkey: query.has("by") ? PASSKEY : null },
          on: () => undefined,
          open: async () => undefined,
          shut: () => undefined,
          onShut: () => undefined,
          guard: async () => undefined,
          unguard: async () => undefined,
          setMinutes: async () => undefined,
        },
        forget: async () => undefined,
      },
    }),
  document.body,
);

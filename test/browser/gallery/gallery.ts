// Mounts the whole client over the fake engine, in the state that the address asks for (?scene=…).

import "../../../client/ui/styles/all.css";
import { App } from "../../../client/ui/app.tsx";
import { createComponent, render } from "../../../client/ui/dom.ts";
import type { Place } from "../../../client/ui/wire.ts";
import { createFakeEngine } from "./fake-engine.ts";
import { scene } from "./scenes.ts";

const query = new URLSearchParams(location.search);
const engine = createFakeEngine(scene(query.get("scene") ?? "busy"));
const place = (query.get("place") ?? "here") as Place;

Object.assign(globalThis, { engine });
render(
  () =>
    createComponent(App as (props: object) => Node, {
      remote: {
        engine,
        onPlace: (listener: (place: Place) => void) => listener(place),
        take: () => undefined,
        forget: async () => undefined,
      },
    }),
  document.body,
);

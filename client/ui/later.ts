// Owns which views are loaded when they are first needed, and loads them ahead in a quiet moment, so that a network that has gone since
// keeps nobody from them.

import { type Component, lazy } from "solid-js";

/** The page has drawn and the engine has answered by then; in ms. */
const QUIET = 2_000;

const loads: (() => Promise<unknown>)[] = [];

/** A view that is no part of the first load. To be shown within a Suspense. */
export function later<Props extends object>(load: () => Promise<Component<Props>>) {
  loads.push(load);
  return lazy(async () => ({ default: await load() }));
}

/** Loads all such views, also those that come to be known by it. What cannot be loaded now is loaded when it is needed. */
export function loadAhead(): () => void {
  const timer = setTimeout(async () => {
    for (const load of loads) await load().catch(() => undefined);
  }, QUIET);
  return () => clearTimeout(timer);
}

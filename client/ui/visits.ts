// Owns whether this browser has been here before, as far as a page can tell at once: its database takes a quarter of a second to ask. It decides
// what is shown until the engine is heard, and nothing else.

const KEY = "kuvert.visited";

/** Nobody has had an account in this browser. */
export function isFirstVisit(): boolean {
  return localStorage.getItem(KEY) === null;
}

/** Somebody has, or no longer. */
export function noteVisit(visited: boolean): void {
  if (visited) localStorage.setItem(KEY, "1");
  else localStorage.removeItem(KEY);
}

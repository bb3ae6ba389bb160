// Owns the small round picture of a person or conversation: initials on a colour that stays the same for the same id.

import type { JSX } from "solid-js";

const HUES = 8;

function hue(id: string): number {
  // FNV-1a; its upper bits are the well mixed ones.
  let hash = 0x811c9dc5;
  for (const character of id) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
  return (hash >>> 16) % HUES;
}

/** First letters of the first and last word: "Anna Sommer" → "AS". */
function initials(name: string): string {
  const words = name.split(/[\s,]+/).filter((word) => /^[\p{L}\p{N}]/u.test(word));
  const [first, last] = [words[0], words.length > 1 ? words.at(-1) : undefined];
  return [first, last]
    .map((word) => Array.from(word ?? "")[0] ?? "")
    .join("")
    .toUpperCase();
}

export function Avatar(props: { id: string; name: string; size?: "small" }): JSX.Element {
  return (
    <span class={`avatar hue-${hue(props.id)} ${props.size ?? ""}`} aria-hidden="true">
      {initials(props.name)}
    </span>
  );
}

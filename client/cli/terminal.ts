// Owns how things look on a terminal: tables, local times, colours, and the defence against texts that try to drive
// the terminal. Knows nothing of commands or of the engine.

/** Local date and time to the minute, the same in every locale: 2026-11-22 14:05. */
export function formatTime(at: number): string {
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

// Controls, and the marks that reverse the direction of what follows: a text must not be able to move the cursor, change the
// window's title or disguise a line as somebody else's
const UNSAFE = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]/gu;

/** The text as one line that is safe to show: line breaks become spaces, every control a replacement character. */
export function printable(text: string): string {
  return text.replaceAll(/\r\n|[\n\r\t]/g, " ").replaceAll(UNSAFE, "\ufffd");
}

/** The text as safe lines; its own line breaks are kept. */
export function printableLines(text: string): readonly string[] {
  return text.split(/\r\n|[\n\r]/).map(printable);
}

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });
const WIDE = /[\p{Emoji_Presentation}\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}]/u;

/** Columns a text takes on a terminal. */
function width(text: string): number {
  let columns = 0;
  for (const { segment } of graphemes.segment(text)) columns += WIDE.test(segment) ? 2 : 1;
  return columns;
}

/** Fills a text with spaces up to a width in columns. */
export function pad(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - width(text)));
}

/** Lines of a table with its columns aligned; the last column is not padded. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const all = [heads, ...rows.map((row) => row.map(printable))];
  const widths = heads.map((_, column) => Math.max(...all.map((row) => width(row[column] ?? ""))));
  return all.map((row) =>
    row
      .map((cell, column) => pad(cell, widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

type Style = "bold" | "dim" | "red" | "cyan";
const CODES: Record<Style, readonly [number, number]> = { bold: [1, 22], dim: [2, 22], red: [31, 39], cyan: [36, 39] };
export type Paint = (style: Style, text: string) => string;

/** Colours where a person can see them: on a terminal that has not been told otherwise (no-color.org). */
export function paintFor(
  out: { readonly isTTY?: boolean },
  env: { readonly [name: string]: string | undefined },
): Paint {
  const plain = out.isTTY !== true || (env.NO_COLOR ?? "") !== "" || env.TERM === "dumb";
  if (plain) return (_, text) => text;
  return (style, text) => `\u001b[${CODES[style][0]}m${text}\u001b[${CODES[style][1]}m`;
}

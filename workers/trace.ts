// Owns what the server says about itself: one line of JSON per event. Never a stack, a message, bytes, a name or a token:
// an error is traced as its class and the place it was thrown at.

/** Writes one event. `fields` may hold ids, codes, numbers and references only. */
export function trace(event: string, fields: Readonly<Record<string, string | number | boolean>>): void {
  console.error(JSON.stringify({ event, ...fields }));
}

/** Traces a bug and returns the reference under which it can be found. */
export function traceBug(event: string, error: unknown): string {
  const reference = crypto.randomUUID();
  trace(event, { reference, error: classOf(error), at: placeOf(error) });
  return reference;
}

/** The class of a thrown thing; a class name may be set by whoever threw, so only the shape of one is let through. */
function classOf(error: unknown): string {
  const name = error instanceof Error ? error.constructor.name : typeof error;
  return /^[A-Za-z]{1,40}$/.test(name) ? name : "unknown";
}

/** `file:line:column` of the first frame. The lines before it repeat the message, which may quote what a person wrote. */
function placeOf(error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? "") : "";
  return /^ +at .*?([\w.-]+:\d+:\d+)\)?$/m.exec(stack)?.[1] ?? "unknown";
}

// Owns what has left on a socket and is not answered yet, and since when the oldest of it waits. Knows of frames only what answers which.

import { toBase64url } from "../../schemas/bytes.ts";
import type { ClientFrame, ServerFrame } from "../../schemas/frames.ts";

/** Frames of one socket that wait for an answer. Times in ms. */
export class Unanswered {
  readonly #since = new Map<string, number>();

  /** Since when the oldest waits; `undefined` when none does. */
  get since(): number | undefined {
    return this.#since.size === 0 ? undefined : Math.min(...this.#since.values());
  }

  /** A frame has left. What is said again waits anew. */
  left(frame: ClientFrame, now: number): void {
    if (frame.type === "send" || frame.type === "commit") this.#since.set(toBase64url(frame.id), now);
    else if (frame.type !== "confirm") this.#since.set(frame.type, now);
  }

  /** Takes out what a frame answers: nothing, `resume` alone, or more. */
  heard(frame: ServerFrame): "nothing" | "resume" | "more" {
    if (this.#since.size === 0) return "nothing";
    if (frame.type === "ready") return this.#since.delete("resume") ? "resume" : "nothing";
    const answered = this.#answeredBy(frame).filter((key) => this.#since.delete(key));
    return answered.length === 0 ? "nothing" : "more";
  }

  /** A new socket: nothing that left before is answered there. */
  clear(): void {
    this.#since.clear();
  }

  /** What comes while a page is asked for counts as the page; a refusal without an id is of one of the questions, and they are asked anew. */
  #answeredBy(frame: ServerFrame): readonly string[] {
    if (frame.type === "envelopes") return ["pull", ...frame.envelopes.map(({ id }) => toBase64url(id))];
    if (frame.type === "group_info") return ["group_info"];
    if (frame.type === "accepted") return [toBase64url(frame.id)];
    if (frame.type !== "refused") return [];
    return frame.id === null ? ["pull", "group_info"] : [toBase64url(frame.id)];
  }
}

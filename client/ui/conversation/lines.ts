// Owns which lines of a conversation are loaded and which of them are rendered: a window of a few hundred over a history of
// any length. It asks the engine for pages and draws nothing.

import { createSignal, onCleanup } from "solid-js";
import { createStore, reconcile } from "solid-js/store";
import type { ConversationId } from "../../../schemas/ids.ts";
import type { Engine, MessageView } from "../../engine/view.ts";

const PAGE = 60;
const WINDOW = 180;
/** Pages read to close a gap before giving up and starting anew at the newest line. */
const GAP_PAGES = 10;
/** A backlog goes by faster than anybody reads: so long, in ms, between two looks at it. */
const SKIMMING = 250;

/** Joins a newer page to what is loaded; undefined when they do not touch. */
function join(loaded: readonly MessageView[], page: readonly MessageView[]): MessageView[] | undefined {
  const first = page[0];
  if (first === undefined || loaded.length === 0) return [...page];
  const at = loaded.findIndex(({ key }) => key === first.key);
  if (at < 0) return undefined;
  const renewed = new Set(page.map(({ key }) => key));
  return [...loaded.slice(0, at).filter(({ key }) => !renewed.has(key)), ...page];
}

export interface Lines {
  /** The rendered lines, oldest first; the same line keeps its identity between updates. */
  readonly shown: readonly MessageView[];
  readonly ready: () => boolean;
  readonly failure: () => unknown;
  readonly hasOlder: () => boolean;
  readonly hasNewer: () => boolean;
  /** Renders older lines, loading them first where needed; `around` wraps the change of the page. */
  older(around: (change: () => void) => void): Promise<void>;
  newer(around: (change: () => void) => void): void;
  /** Renders the newest lines and stays with them. */
  toNewest(): void;
  /** Whether new lines are to be rendered as they come. */
  follow(on: boolean): void;
}

/** Follows one conversation until the calling view is gone. `changed` runs after lines were rendered anew. */
export function createLines(engine: Engine, conversation: ConversationId, changed: () => void): Lines {
  const [shown, setShown] = createStore<MessageView[]>([]);
  const [state, setState] = createSignal({ ready: false, failure: undefined as unknown, older: false, newer: false });
  let loaded: readonly MessageView[] = [];
  let complete = false;
  let following = true;
  let from = 0;
  let to = 0;
  let running: Promise<void> | undefined;
  let again = false;
  let skimming = false;

  const render = (failure?: unknown): void => {
    setShown(reconcile(loaded.slice(from, to), { key: "key" }));
    setState({ ready: true, failure, older: from > 0 || !complete, newer: to < loaded.length });
  };
  const toEnd = (): void => {
    to = loaded.length;
    from = Math.max(0, Math.min(from, to - PAGE), to - WINDOW);
  };
  const page = (before: string | undefined, limit: number) =>
    engine.timeline(conversation, before === undefined ? { limit } : { before, limit });

  /** Replaces what is loaded by what the engine has now, keeping the rendered lines where they are. */
  const replace = (next: readonly MessageView[]): void => {
    const [first, last] = [loaded[from]?.key, loaded[to - 1]?.key];
    loaded = next;
    if (following) {
      toEnd();
      return;
    }
    const start = next.findIndex(({ key }) => key === first);
    const end = next.findIndex(({ key }) => key === last);
    from = start < 0 ? Math.min(from, next.length) : start;
    to = end < 0 ? Math.min(from + WINDOW, next.length) : end + 1;
  };
  const readTail = async (): Promise<void> => {
    let tail = await page(undefined, PAGE);
    let whole = tail.length < PAGE;
    // Who stays with the newest lines is not shown what lies between
    const most = following ? 0 : GAP_PAGES;
    for (let pages = 0; pages < most && !whole && join(loaded, tail) === undefined; pages += 1) {
      const older = await page(tail[0]?.key, PAGE);
      whole = older.length < PAGE;
      tail = [...older, ...tail];
    }
    const joined = whole ? undefined : join(loaded, tail);
    skimming = loaded.length > 0 && joined === undefined && !whole;
    complete = whole || (complete && joined !== undefined);
    replace(joined ?? tail);
  };
  /** The states of rendered lines older than the newest page: delivered meanwhile, or expired. */
  const readWindow = async (): Promise<void> => {
    const next = loaded[to];
    if (following || next === undefined || to > loaded.length - PAGE) return;
    const fresh = await page(next.key, to - from);
    replace([...loaded.slice(0, from), ...fresh, ...loaded.slice(to)]);
  };
  const refresh = async (): Promise<void> => {
    do {
      again = false;
      try {
        await readTail();
        await readWindow();
        render();
      } catch (failure) {
        render(failure);
      }
      changed();
      if (skimming) await new Promise((passed) => setTimeout(passed, SKIMMING));
    } while (again);
    running = undefined;
  };
  const wake = (): void => {
    again = true;
    running ??= refresh();
  };
  onCleanup(
    engine.on((event) => {
      if (event.type === "timeline" && event.conversation === conversation) wake();
    }),
  );
  wake();

  return {
    shown,
    ready: () => state().ready,
    failure: () => state().failure,
    hasOlder: () => state().older,
    hasNewer: () => state().newer,
    older: async (around) => {
      await running;
      if (from === 0 && !complete) {
        const older = await page(loaded[0]?.key, PAGE).catch(() => []);
        complete = older.length < PAGE;
        const known = new Set(loaded.map(({ key }) => key));
        const fresh = older.filter(({ key }) => !known.has(key));
        loaded = [...fresh, ...loaded];
        from += fresh.length;
        to += fresh.length;
      }
      from = Math.max(0, from - PAGE);
      to = Math.min(to, from + WINDOW);
      around(render);
    },
    newer: (around) => {
      to = Math.min(loaded.length, to + PAGE);
      from = Math.max(from, to - WINDOW);
      around(render);
    },
    toNewest: () => {
      following = true;
      from = loaded.length;
      toEnd();
      render();
    },
    follow: (on) => {
      following = on && to >= loaded.length;
    },
  };
}

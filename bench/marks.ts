// Owns the marks that must hold on a machine with two cores, and how a figure is held against its mark.

export interface Figure {
  readonly work: string;
  readonly target: string;
  readonly measure: string;
  readonly unit: string;
  readonly value: number;
}

export interface Mark {
  readonly work: string;
  readonly measure: string;
  readonly most?: number;
  readonly least?: number;
  /** Bound on the product's figure divided by this floor's. */
  readonly against?: { readonly target: string; readonly most?: number; readonly least?: number };
}

export const PRODUCT = "Kuvert";
export const VOLATILE = "Node ws, nothing stored";
export const BARE = "bare object, insert each";

export const MARKS: readonly Mark[] = [
  ...["1 × 100 saturated", "1 × 1,000 saturated"].flatMap((work): Mark[] => [
    { work, measure: "server CPU per delivery", most: 6, against: { target: VOLATILE, most: 1 } },
    { work, measure: "deliveries", least: 200_000 },
  ]),
  { work: "1 × 10 saturated", measure: "server CPU per delivery", most: 15 },
  { work: "1 × 10 saturated", measure: "accepted", least: 5_000 },
  { work: "500 × 4 saturated", measure: "server CPU per delivery", most: 130 },
  { work: "500 × 4 saturated", measure: "deliveries", against: { target: BARE, least: 0.8 } },
  { work: "1 × 10 at 100/s", measure: "latency p50", most: 2.5 },
  { work: "1 × 10 at 100/s", measure: "latency p99", most: 10 },
  { work: "1 × 100 at 20/s", measure: "latency p50", most: 5 },
  { work: "1 × 100 at 20/s", measure: "latency p99", most: 15 },
  { work: "1 × 1,000 at 2/s", measure: "latency p99", most: 50 },
  { work: "1,000 reconnect, 100 missed", measure: "all complete", most: 3_000 },
  { work: "catch-up of 10,000", measure: "server CPU", most: 300 },
  { work: "10 of 100 stalled", measure: "others' p99 change", most: 10 },
  { work: "10 of 100 stalled", measure: "memory per stalled socket", most: 1_024 },
  { work: "idle", measure: "memory per socket", most: 110 },
  { work: "idle", measure: "memory per live conversation", most: 700 },
  { work: "timers", measure: "lateness p99", most: 1_000 },
  { work: "timers", measure: "earliest", least: 0 },
  { work: "timers after a crash", measure: "lateness after restart", most: 5_000 },
  { work: "browser", measure: "cold start", most: 1_000 },
  { work: "browser", measure: "warm start", most: 300 },
  { work: "browser", measure: "own bubble", most: 50 },
  { work: "browser", measure: "bundle gzipped", most: 150 },
  { work: "browser", measure: "opens, stored and shown", least: 3_000 },
  { work: "cost: backlog", measure: "opens", least: 3_000 },
  ...[10, 100, 500].map(
    (size): Mark => ({ work: `cost: message among ${size}`, measure: "receiver writes", most: 512 }),
  ),
];

/** "✓", "✗" or "" (no mark), with the bound in words. */
export function judge(figure: Figure, all: readonly Figure[]): string {
  const verdicts = MARKS.filter(({ work, measure }) => work === figure.work && measure === figure.measure).flatMap(
    (mark) => [...bound(figure.value, mark, figure.unit), ...ratioBound(figure, mark, all)],
  );
  return figure.target === PRODUCT ? verdicts.join(", ") : "";
}

function bound(value: number, { most, least }: Pick<Mark, "most" | "least">, unit: string): string[] {
  const held = (ok: boolean, text: string): string => `${ok ? "✓" : "✗"} ${text}${unit === "" ? "" : ` ${unit}`}`;
  return [
    ...(most === undefined ? [] : [held(value <= most, `≤ ${most.toLocaleString("en")}`)]),
    ...(least === undefined ? [] : [held(value >= least, `≥ ${least.toLocaleString("en")}`)]),
  ];
}

function ratioBound(figure: Figure, { against }: Mark, all: readonly Figure[]): string[] {
  const floor = all.find(
    ({ work, measure, target }) => work === figure.work && measure === figure.measure && target === against?.target,
  );
  if (against === undefined || floor === undefined) return [];
  const ratio = figure.value / floor.value;
  return bound(ratio, against, "").map((verdict) => `${verdict} × ${against.target} (is ${ratio.toFixed(2)})`);
}

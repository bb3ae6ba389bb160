// How long a send waits for company, with a clock and a disk that do as they are told.

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Batch } from "../../workers/conversation/batch.ts";

const WINDOW = 5;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A batch whose writes become durable when the test says so. */
function idle() {
  const flushed: number[][] = [];
  const writes: (() => void)[] = [];
  const batch = new Batch<number>({
    flush: (items) => flushed.push([...items]),
    durable: () => new Promise((resolve) => writes.push(resolve)),
    window: () => WINDOW,
  });
  const durable = async () => {
    for (const done of writes.splice(0)) done();
    await vi.advanceTimersByTimeAsync(0);
  };
  return { batch, flushed, durable };
}

test("O11: what comes to an idle object does not wait, and leaves no timer", async () => {
  const { batch, flushed, durable } = idle();
  batch.add(1, 10);
  expect(flushed).toEqual([[1]]);
  await durable();
  await vi.advanceTimersByTimeAsync(WINDOW);
  batch.add(2, 10);
  expect(flushed).toEqual([[1], [2]]);
  expect(vi.getTimerCount()).toBe(0);
});

test("O11: what comes while something is being written waits for it and the window, however slow the disk", async () => {
  const { batch, flushed, durable } = idle();
  batch.add(1, 10);
  for (const item of [2, 3]) batch.add(item, 10);
  await vi.advanceTimersByTimeAsync(1_000);
  batch.add(4, 10);
  expect(flushed).toEqual([[1]]);
  await durable();
  batch.add(5, 10);
  await vi.advanceTimersByTimeAsync(WINDOW - 1);
  expect(flushed).toEqual([[1]]);
  await vi.advanceTimersByTimeAsync(1);
  expect(flushed).toEqual([[1], [2, 3, 4, 5]]);
});

test("O11: where writes take long one after the other, the next waits as long for company, at most 200 ms", async () => {
  for (const { took, wait } of [
    { took: 40, wait: 40 },
    { took: 5_000, wait: 200 },
  ]) {
    const { batch, flushed, durable } = idle();
    for (const [round, item] of [1, 2].entries()) {
      batch.add(item, 10);
      await vi.advanceTimersByTimeAsync(took);
      if (round === 1) batch.add(3, 10);
      await durable();
      await vi.advanceTimersByTimeAsync(round === 0 ? WINDOW : wait - 1);
    }
    expect(flushed).toEqual([[1], [2]]);
    await vi.advanceTimersByTimeAsync(1);
    expect(flushed).toEqual([[1], [2], [3]]);
  }
});

test("O11: eight that wait are company enough, however long writes take", async () => {
  const { batch, flushed, durable } = idle();
  for (const item of [1, 2]) {
    batch.add(item, 10);
    await vi.advanceTimersByTimeAsync(150);
    await durable();
    await vi.advanceTimersByTimeAsync(item === 1 ? WINDOW : 0);
  }
  for (let item = 3; item < 10; item++) batch.add(item, 10);
  await vi.advanceTimersByTimeAsync(WINDOW);
  expect(flushed).toEqual([[1], [2]]);
  batch.add(10, 10);
  expect(flushed).toEqual([[1], [2], [3, 4, 5, 6, 7, 8, 9, 10]]);
  expect(vi.getTimerCount()).toBe(0);
});

test("O11: a hundred, or 128 KiB, do not wait for anything", () => {
  const { batch, flushed } = idle();
  for (let item = 0; item < 102; item++) batch.add(item, 10);
  expect(flushed.map(({ length }) => length)).toEqual([1, 100]);
  batch.add(200, 128 * 1024);
  expect(flushed.at(-1)).toEqual([101, 200]);
});

test("O11: a clock that is set back holds nobody up", async () => {
  const { batch, flushed, durable } = idle();
  batch.add(1, 10);
  await durable();
  vi.setSystemTime(0);
  batch.add(2, 10);
  expect(flushed).toEqual([[1], [2]]);
});

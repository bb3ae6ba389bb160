// Starts the floors as targets and speaks their one frame: u32 count, u32 seq, payloads of equal length.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocket } from "ws";
import { onServerCore } from "../machine.ts";
import { type Peer, stampedPayload, stampOf, type Target } from "../target.ts";

class FloorPeer implements Peer {
  seq = 0;
  sample = false;
  onDelivery: Peer["onDelivery"] = null;
  readonly #socket: WebSocket;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (data: Buffer) => this.#receive(data));
  }

  send(size: number, sentAt: number): void {
    this.#socket.send(stampedPayload(size, sentAt));
  }

  stall(): void {
    this.#socket.pause();
  }

  close(): void {
    this.#socket.terminate();
  }

  #receive(data: Buffer): void {
    const count = data.readUInt32BE(0);
    this.seq = data.readUInt32BE(4);
    const size = (data.length - 8) / count;
    const stamps = this.sample
      ? Array.from({ length: count }, (_, at) => stampOf(data.subarray(8 + at * size, 8 + (at + 1) * size)))
      : [];
    this.onDelivery?.(count, stamps);
  }
}

async function firstLine(child: ChildProcess): Promise<string> {
  const [chunk] = (await once(child.stdout as NodeJS.ReadableStream, "data")) as [Buffer];
  return chunk.toString().split("\n")[0] ?? "";
}

async function start(script: string, args: readonly string[]): Promise<{ child: ChildProcess; line: string }> {
  const command = [...onServerCore, process.execPath, join(import.meta.dirname, script), ...args];
  const [program = "", ...rest] = command;
  const child = spawn(program, rest, { stdio: ["ignore", "pipe", "inherit"] });
  return { child, line: await firstLine(child) };
}

/** Ends a floor's server and destroys its state. */
async function stop(child: ChildProcess, folder: string): Promise<void> {
  child.kill();
  await once(child, "exit");
  rmSync(folder, { recursive: true, force: true });
}

/** Opens `size` sockets, at most 50 at a time. */
async function open(url: string, size: number): Promise<Peer[]> {
  const peers: Peer[] = [];
  for (let at = 0; at < size; at += 50) {
    const sockets = Array.from({ length: Math.min(50, size - at) }, () => new WebSocket(url));
    await Promise.all(sockets.map((socket) => once(socket, "open")));
    peers.push(...sockets.map((socket) => new FloorPeer(socket)));
  }
  return peers;
}

function target(name: string, floor: { pid: number; base: string; end: () => Promise<void> }): Target {
  return {
    name,
    pid: floor.pid,
    fill: (room, size) => open(`${floor.base}/${room}`, size),
    stop: floor.end,
  };
}

async function nodeRoom(name: string, args: readonly string[], folder: string): Promise<Target> {
  const { child, line } = await start("node-room.ts", args);
  return target(name, { pid: child.pid ?? 0, base: `ws://127.0.0.1:${line}/room`, end: () => stop(child, folder) });
}

/** A Node `ws` room that stores nothing. */
export function volatileRoom(): Promise<Target> {
  return nodeRoom("Node ws, nothing stored", [], mkdtempSync(join(tmpdir(), "kuvert-floor-")));
}

/** A Node `ws` room with SQLite and a sync to disk per message. */
export function durableRoom(): Promise<Target> {
  const folder = mkdtempSync(join(tmpdir(), "kuvert-floor-"));
  return nodeRoom("Node ws + SQLite, synced", ["--durable", folder], folder);
}

/** A bare Durable Object: `bare` inserts per message, `grouped` commits in groups. */
export async function objectRoom(kind: "bare" | "grouped"): Promise<Target> {
  const folder = mkdtempSync(join(tmpdir(), "kuvert-floor-"));
  const { child, line } = await start("object-server.ts", [folder]);
  const { port, workerdPid } = JSON.parse(line) as { port: string; workerdPid: number };
  const name = kind === "bare" ? "bare object, insert each" : "bare object, group commit";
  return target(name, { pid: workerdPid, base: `ws://127.0.0.1:${port}/${kind}`, end: () => stop(child, folder) });
}

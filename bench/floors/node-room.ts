// A bare broadcast room over `ws` in one Node process: the floor a durable, encrypted messenger is compared with. With `--durable`
// every message is inserted into SQLite and synced to disk before it is told. Frames: u32 count, u32 seq, then the payload.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { DatabaseSync } from "node:sqlite";
import { type WebSocket, WebSocketServer } from "ws";

const folder = process.argv[process.argv.indexOf("--durable") + 1];
const database = process.argv.includes("--durable") ? new DatabaseSync(`${folder}/room.sqlite`) : null;
database?.exec(
  "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE log (room TEXT, seq INTEGER, bytes BLOB)",
);
const insert = database?.prepare("INSERT INTO log VALUES (?, ?, ?)");

interface Room {
  seq: number;
  readonly sockets: Set<WebSocket>;
}
const rooms = new Map<string, Room>();

function roomOf(name: string): Room {
  const room = rooms.get(name) ?? { seq: 0, sockets: new Set<WebSocket>() };
  rooms.set(name, room);
  return room;
}

const server = createServer();
new WebSocketServer({ server, perMessageDeflate: false }).on("connection", (socket, request) => {
  const name = request.url ?? "/";
  const room = roomOf(name);
  room.sockets.add(socket);
  socket.on("close", () => room.sockets.delete(socket));
  socket.on("message", (data: Buffer) => {
    room.seq++;
    insert?.run(name, room.seq, data);
    const frame = Buffer.allocUnsafe(8 + data.length);
    frame.writeUInt32BE(1, 0);
    frame.writeUInt32BE(room.seq, 4);
    data.copy(frame, 8);
    for (const other of room.sockets) other.send(frame);
  });
});
server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));

// The real server as a process of its own, on a free port and a state folder of its own: started, stopped, and killed at any moment.
// It knows nothing of what the server does.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const START = join(import.meta.dirname, "../../scripts/start.ts");
/** What was compiled for one start need not be compiled for the next. */
const NODE_COMPILE_CACHE = join(import.meta.dirname, "../../node_modules/.cache/node");

export interface Circumstances {
  /** A command that the server is started by. */
  readonly under?: readonly string[];
  /** What start.ts reads, beside port and state. */
  readonly env?: Readonly<Record<string, string>>;
}

interface Announcement {
  readonly url: string;
  readonly pid: number;
  readonly workerdPid: number;
}

/** Ports below those the system hands out for outgoing connections, so that a restart finds its own free again. */
const PORTS = { first: 20_000, perRunner: 2_000 };
/** Which of the test files that run at the same time this is; 0 outside of tests. At most 4 do. */
const RUNNER = Number(process.env.VITEST_POOL_ID ?? 0);

/** What the runtime says of a port that is not free. */
const TAKEN = /address already in use/i;

/** A free port that no test file beside this one looks at: not even while its server is down. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.first + RUNNER * PORTS.perRunner + Math.floor(Math.random() * PORTS.perRunner);
    const probe = createServer().listen(port, "localhost");
    const free = await Promise.race([
      once(probe, "listening").then(() => true),
      once(probe, "error").then(() => false),
    ]);
    if (!free) continue;
    await new Promise((done) => probe.close(done));
    return port;
  }
}

/** Whether this process has ended, by itself or otherwise. */
function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** Whether a process is gone; a zombie that nobody has waited for counts as gone. */
function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}

async function gone(pid: number): Promise<void> {
  while (!isGone(pid)) await new Promise((done) => setTimeout(done, 5));
}

/** One server: its folder and port stay the same from start to start. */
export class RealServer {
  readonly state: string;
  readonly port: number;
  readonly #circumstances: Circumstances;
  /** Everything it ever printed. */
  output = "";
  #child: ChildProcess | undefined;
  #workerdPid = 0;
  #announced: ((announcement: Announcement) => void)[] = [];

  private constructor({ state, port }: { state: string; port: number }, circumstances: Circumstances) {
    this.state = state;
    this.port = port;
    this.#circumstances = circumstances;
  }

  /** Starts a server on an empty state folder and resolves when it answers. */
  static async start(circumstances: Circumstances = {}): Promise<RealServer> {
    const state = mkdtempSync(join(tmpdir(), "kuvert-server-"));
    for (;;) {
      const server = new RealServer({ state, port: await freePort() }, circumstances);
      try {
        await server.start();
        return server;
      } catch (error) {
        // Somebody outside of these tests may have been quicker
        if (!TAKEN.test(server.output)) throw error;
      }
    }
  }

  get url(): string {
    return `http://localhost:${this.port}`;
  }

  /** The runtime's process now; it changes with every crash. */
  get workerdPid(): number {
    return this.#workerdPid;
  }

  /** Starts it again after {@link stop} or {@link kill}. */
  async start(): Promise<void> {
    const { under = [], env = {} } = this.#circumstances;
    const start = [process.execPath, "--disable-warning=ExperimentalWarning", START, "--json", "--built"];
    const [program = "", ...args] = [...under, ...start];
    const child = spawn(program, args, {
      env: {
        NODE_COMPILE_CACHE,
        ...process.env,
        PORT: String(this.port),
        KUVERT_STATE: this.state,
        KUVERT_REQUESTS_PER_MINUTE: "1000000",
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    const announced = this.#nextAnnouncement();
    createInterface(child.stdout).on("line", (line) => this.#hear(line));
    child.stderr.on("data", (data: Buffer) => {
      this.output += data.toString();
    });
    const ended = once(child, "exit").then(() => Promise.reject(new Error(`the server ended:\n${this.output}`)));
    ended.catch(() => undefined);
    await Promise.race([announced, ended]);
  }

  /** Starts it unless it runs. */
  async ensure(): Promise<void> {
    if (this.#child === undefined || hasEnded(this.#child)) await this.start();
  }

  #hear(line: string): void {
    this.output += `${line}\n`;
    if (!line.startsWith("{")) return;
    const announcement = JSON.parse(line) as Partial<Announcement>;
    if (announcement.workerdPid === undefined) return;
    this.#workerdPid = announcement.workerdPid;
    for (const tell of this.#announced.splice(0)) tell(announcement as Announcement);
  }

  #nextAnnouncement(): Promise<Announcement> {
    return new Promise((resolve) => this.#announced.push(resolve));
  }

  /** Kills the runtime with -9; resolves when its supervisor has started it again. */
  async crash(): Promise<void> {
    const back = this.#nextAnnouncement();
    process.kill(this.#workerdPid, "SIGKILL");
    await back;
  }

  /** Kills everything with -9, supervisor first, so that nothing starts again. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    const ended = hasEnded(child) || once(child, "exit");
    child.kill("SIGKILL");
    if (!isGone(this.#workerdPid)) process.kill(this.#workerdPid, "SIGKILL");
    await ended;
    await gone(this.#workerdPid);
  }

  /** Ends it politely. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    const ended = hasEnded(child) || once(child, "exit");
    child.kill("SIGTERM");
    await ended;
    await gone(this.#workerdPid);
  }

  /** Stops it and deletes its state. */
  async dispose(): Promise<void> {
    await this.stop();
    rmSync(this.state, { recursive: true, force: true });
  }
}

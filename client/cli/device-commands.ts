// Owns the commands about one's own devices and about losing none of what is on them: linking, names, the recovery phrase and coming back by it.

import { renderUnicodeCompact } from "uqr";
import { LIMITS } from "../../schemas/policy.ts";
import type { LinkingView } from "../engine/view.ts";
import { chooseDevice, deviceName, printAccount } from "./account-commands.ts";
import type { Command, Context } from "./command.ts";
import { Failure, refused } from "./failure.ts";
import { printable } from "./terminal.ts";
import { settled, until } from "./wait.ts";

/** Words a person enters again to show that they were written down. */
const ASKED = 3;
const COLUMNS = 4;

/** Waits for one of the states of linking; it being over is a failure. */
function linking<Kind extends LinkingView["kind"]>(
  context: Context,
  kind: Kind,
): Promise<Extract<LinkingView, { kind: Kind }>> {
  return until({ ...context, timeout: LIMITS.linkLife }, () => {
    const view = context.engine.snapshot().linking;
    if (view?.kind === "over") throw over(view.code);
    return view?.kind === kind ? (view as Extract<LinkingView, { kind: Kind }>) : undefined;
  });
}

function over(code: Extract<LinkingView, { kind: "over" }>["code"]): Failure {
  return code === "not_found"
    ? new Failure(code, "this code is over, or was called off on the other device")
    : refused(code);
}

async function show(context: Context): Promise<void> {
  const { engine, print, ask } = context;
  if (engine.snapshot().linking?.kind === "handing") return goOn(context);
  await engine.offerLink();
  const { code, address, expiresAt } = await linking(context, "shown");
  print.json({ type: "link", code, address, expiresAt });
  print.lines(
    renderUnicodeCompact(address),
    `On the new device: kuvert link ${code}`,
    print.paint("dim", `Or open ${address} there. Good for ten minutes and for one device.`),
  );
  try {
    const { name, digits } = await linking(context, "answered");
    print.json({ type: "link_answered", name, digits });
    print.lines(`${printable(name)} shows ${print.paint("bold", digits)} if nobody sits in between.`);
    if (!/^(y|yes|j|ja)$/i.test((await ask("Does it show the same digits? [y/N] ")).trim())) {
      throw new Failure("called_off", "called off; nothing was handed over");
    }
    await engine.confirmLink();
    print.json({ type: "linked", name });
    print.lines(`${printable(name)} is one of your devices now; it is fetching its history.`);
  } catch (error) {
    await engine.cancelLink();
    throw error;
  }
}

/** Waits until a history is handed over that an earlier command was cut off with. */
async function goOn(context: Context): Promise<void> {
  const { name } = await linking(context, "handed");
  context.print.json({ type: "linked", name });
  context.print.lines(`${printable(name)} is one of your devices, and your history is wholly handed over now.`);
}

async function enter(context: Context): Promise<void> {
  const { engine, print, args, options } = context;
  const linked = engine.link({ code: args[0] ?? "", deviceName: deviceName(options.device) });
  const entered = linking(context, "entered");
  entered.then(
    ({ digits }) => {
      print.json({ type: "link_entered", digits });
      print.lines(`Compare these digits with your other device, and confirm there: ${print.paint("bold", digits)}`);
    },
    () => undefined,
  );
  await linked;
  await settled(context);
  printAccount(context);
}

export const link: Command = {
  usage: "[CODE] [--device NAME]",
  summary: "Link another device: without CODE on the one you have, with CODE on the new one",
  details: [
    "The device you have shows a code and a QR code, good for ten minutes and one device. The new one enters it,",
    "with an empty --profile. Both show the same digits; when you have compared them, the one you have hands over",
    "who you are and all history. The server sees none of it. Cut off, either side goes on when it is called again.",
  ],
  arity: [0, 1],
  options: ["device"],
  profile: (args) => (args.length === 0 ? "account" : "fresh"),
  run: (context) => (context.args.length === 0 ? show(context) : enter(context)),
};

/** Three different places, from 1, in order. */
function places(count: number): readonly number[] {
  const all = Array.from({ length: count }, (_, index) => index + 1);
  for (let at = 0; at < ASKED; at++) {
    const other = at + Math.floor(Math.random() * (count - at));
    [all[at], all[other]] = [all[other] as number, all[at] as number];
  }
  return all.slice(0, ASKED).sort((a, b) => a - b);
}

async function confirm({ engine, print, ask }: Context): Promise<void> {
  const words = await engine.recoveryWords();
  const entered: { place: number; word: string }[] = [];
  for (const place of places(words.length)) entered.push({ place, word: await ask(`Word ${place}: `) });
  const right = await engine.confirmWords(entered);
  print.json({ type: "confirmed", confirmed: right });
  if (!right) throw new Failure("wrong_words", "those are not the words; look at your sheet, or see kuvert recovery");
  print.lines("Right. The words are not shown again.");
}

async function reveal({ engine, print }: Context): Promise<void> {
  const words = await engine.recoveryWords();
  print.json({ type: "recovery", words });
  const rows = Math.ceil(words.length / COLUMNS);
  const cell = (at: number): string => `${String(at + 1).padStart(2)} ${(words[at] ?? "").padEnd(9)}`;
  const lines = Array.from({ length: rows }, (_, row) =>
    Array.from({ length: COLUMNS }, (_, column) => cell(column * rows + row)).join("  "),
  );
  print.lines(
    "Write these words down and keep them where nobody else looks. Whoever has them is you.",
    "",
    ...lines.map((line) => line.trimEnd()),
    "",
    print.paint("dim", "Then run: kuvert recovery confirm"),
  );
  await engine.backUp();
}

export const recovery: Command = {
  usage: "[confirm|new]",
  summary: "Show the 24 words that bring back everything when every device is lost",
  details: [
    "The words are shown until three of them have been entered again with `kuvert recovery confirm`.",
    "`kuvert recovery new` makes others; the old ones open nothing any more. Behind the words stands a sealed backup,",
    "brought up to date a minute after a change while a command runs, and by `kuvert backup`.",
  ],
  arity: [0, 1],
  options: [],
  profile: "account",
  async run(context) {
    const { args, engine } = context;
    const [what = "show"] = args;
    if (!["show", "confirm", "new"].includes(what)) throw new Failure("usage", "write: kuvert recovery [confirm|new]");
    await settled(context);
    const { phrase } = engine.snapshot().safekeeping ?? { phrase: "none" };
    if (what !== "new" && phrase === "elsewhere") {
      throw new Failure(
        "words_elsewhere",
        "another of your devices has made your words; kuvert recovery new makes others",
      );
    }
    if (what === "confirm" && phrase === "none")
      throw new Failure("no_words", "there are no words yet; see kuvert recovery");
    if (what !== "new" && phrase === "confirmed") {
      throw new Failure("words_confirmed", "you have written the words down; kuvert recovery new makes others");
    }
    await (what === "confirm" ? confirm(context) : reveal(context));
  },
};

export const backup: Command = {
  usage: "",
  summary: "Bring the sealed backup up to date now",
  details: [
    "It is brought up to date by itself while a command such as listen runs. There is none before kuvert recovery.",
  ],
  arity: [0, 0],
  options: [],
  profile: "account",
  async run(context) {
    const { engine, print } = context;
    await settled(context);
    await engine.backUp();
    // What has changed meanwhile needs another run
    if (engine.snapshot().safekeeping?.backup === "waiting") await engine.backUp();
    const { backup: state } = engine.snapshot().safekeeping ?? { backup: "none" };
    print.json({ type: "backup", state });
    print.lines(BACKUP[state]);
    if (state === "waiting") throw refused("unavailable");
  },
};

const BACKUP = {
  none: "There is no backup: make a recovery phrase first, with kuvert recovery.",
  current: "The backup is up to date.",
  waiting: "The backup could not be brought up to date.",
  elsewhere: "Another of your devices keeps the backup. If you no longer have it, shut it out with kuvert revoke.",
  distrusted: "The server shows another backup than the one that was there. Nothing was written over it.",
} as const;

export const recover: Command = {
  usage: "[--device NAME]",
  summary: "Come back with your 24 words; they are read from standard input",
  details: [
    "Needs an empty --profile. Brings back who you are, your history and your conversations. Devices you have lost keep",
    "their access until you shut them out: kuvert devices, kuvert revoke.",
  ],
  arity: [0, 0],
  options: ["device"],
  profile: "fresh",
  async run(context) {
    const { engine, options, readInput } = context;
    await engine.recover({ phrase: await readInput(), deviceName: deviceName(options.device) });
    await settled(context);
    printAccount(context);
  },
};

export const renameDevice: Command = {
  usage: "DEVICE NAME",
  summary: "Give one of your devices another name",
  details: ["DEVICE is an id, the beginning of one, or a device's name."],
  arity: [2, 2],
  options: [],
  profile: "account",
  async run({ engine, print, args }) {
    const { id } = await chooseDevice(engine, args[0] ?? "");
    const name = args[1] ?? "";
    await engine.renameDevice(id, name);
    print.json({ type: "renamed", device: id, name });
    print.lines(`It is called ${printable(name)} now.`);
  },
};

export const release: Command = {
  usage: "DEVICE",
  summary: "Let passphrases be tried again at a browser that took too many wrong ones",
  details: ["DEVICE is an id, the beginning of one, or a device's name; `kuvert devices` calls it locked."],
  arity: [1, 1],
  options: [],
  profile: "account",
  async run({ engine, print, args }) {
    const { id, name } = await chooseDevice(engine, args[0] ?? "");
    await engine.releaseDevice(id);
    print.json({ type: "released", device: id });
    print.lines(`Passphrases can be tried again at ${printable(name)}.`);
  },
};

// What happens at Bäckerei Lindner: its people, their conversations and what they say. Only words; no engine, no server.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export type Person = "anna" | "thomas" | "sabine" | "mehmet" | "lena" | "jonas";

export const ORGANISATION = "Bäckerei Lindner";

/** The first one founds the organisation. */
export const PEOPLE: Record<Person, { readonly name: string; readonly role: "owner" | "admin" | "member" }> = {
  anna: { name: "Anna Lindner", role: "owner" },
  thomas: { name: "Thomas Lindner", role: "admin" },
  sabine: { name: "Sabine Krüger", role: "member" },
  mehmet: { name: "Mehmet Yıldız", role: "member" },
  lena: { name: "Lena Hoffmann", role: "member" },
  jonas: { name: "Jonas Weber", role: "member" },
};

export interface Line {
  readonly from: Person;
  readonly text: string;
  /** In ms; without it, the conversation's timer. */
  readonly expiresIn?: number;
}

export interface Thread {
  /** null for a conversation of two. */
  readonly title: string | null;
  /** The first one starts it. */
  readonly people: readonly Person[];
  /** Timer for all messages, in ms. */
  readonly expiresIn?: number;
  readonly lines: readonly Line[];
}

export const WELCOME = "Willkommen";

export const THREADS: readonly Thread[] = [
  {
    title: "Schichtplan Filiale Nord",
    people: ["sabine", "anna", "lena", "jonas"],
    expiresIn: 7 * DAY,
    lines: [
      { from: "sabine", text: "Der Plan für nächste Woche steht. Bitte bis Freitag melden, wenn etwas nicht passt." },
      { from: "lena", text: "Ich habe am Mittwoch Berufsschule, könnte da jemand meine Frühschicht nehmen?" },
      { from: "jonas", text: "Mittwoch kann ich ab 6 Uhr, vorher bin ich auf Tour." },
      { from: "sabine", text: "Das reicht, von 5 bis 6 übernehme ich selbst. Danke euch beiden!" },
      { from: "anna", text: "Und am Samstag ist Stadtfest. Da bräuchten wir vorne zu dritt, wer hätte Lust?" },
      { from: "lena", text: "Ich! 🙋‍♀️" },
    ],
  },
  {
    title: "Leitung",
    people: ["anna", "thomas", "sabine"],
    expiresIn: 28 * DAY,
    lines: [
      { from: "anna", text: "Das Angebot für den neuen Etagenofen ist da: 38.400 € netto, Lieferung im Februar." },
      {
        from: "thomas",
        text: "Weniger als gedacht. Der alte schluckt so viel Strom, dass sich das in vier Jahren rechnet.",
      },
      { from: "sabine", text: "Müssten wir für den Einbau schließen?" },
      {
        from: "thomas",
        text: "Nur die Backstube, von Samstagmittag bis Montagnacht. Die Filialen beliefern wir aus Süd.",
      },
      { from: "anna", text: "Gut. Dann sage ich am Montag zu. Einspruch bis dahin, bitte." },
    ],
  },
  {
    title: "Backstube",
    people: ["thomas", "anna", "mehmet", "lena", "jonas"],
    lines: [
      { from: "thomas", text: "Morgen 60 Dinkelbrote statt 40, das Hotel Seeblick hat nachbestellt." },
      { from: "mehmet", text: "Geht klar. Dann setze ich den Vorteig heute schon um acht an." },
      { from: "jonas", text: "Wann soll ich beim Hotel sein?" },
      { from: "thomas", text: "Halb sechs am Lieferanteneingang. Herr Brandt nimmt an." },
      { from: "lena", text: "Die Kürbiskerne sind fast alle, ich habe noch etwa zwei Kilo gefunden." },
      { from: "mehmet", text: "Danke, Lena! Ich schreibe sie auf die Liste für Donnerstag." },
      { from: "thomas", text: "Und: Der Sauerteig ist heute besonders schön geworden. Gute Arbeit! 👏" },
    ],
  },
  {
    title: null,
    people: ["thomas", "lena"],
    lines: [
      {
        from: "thomas",
        text: "Lena, die Zwischenprüfung ist am 12. — willst du am Sonntag nach der Schicht Zöpfe üben?",
      },
      { from: "lena", text: "Sehr gern! Der Fünfstrangzopf klappt immer noch nicht." },
      { from: "thomas", text: "Das wird. Bring gute Laune mit, Teig gibt es genug." },
    ],
  },
  {
    title: null,
    people: ["anna", "sabine"],
    lines: [
      { from: "sabine", text: "Die Alarmanlage fragt nach dem neuen Code. Hast du ihn?" },
      { from: "anna", text: "Ja: 4 7 3 9 0 1. Diese Nachricht löscht sich in einer Stunde.", expiresIn: HOUR },
      { from: "sabine", text: "Notiert, danke. Bis morgen!" },
    ],
  },
  {
    title: WELCOME,
    people: ["anna", "thomas", "sabine", "mehmet", "lena", "jonas"],
    lines: [
      { from: "anna", text: "Hier begrüßen wir alle, die neu bei uns sind. Fragen sind ausdrücklich erwünscht!" },
      { from: "mehmet", text: "Kaffee steht hinten links, und das Franzbrötchen vom Vortag ist für alle da. ☕" },
    ],
  },
];

/** What Anna writes to somebody new. */
export function greeting(name: string): string {
  return `Herzlich willkommen bei uns, ${name}! Schön, dass du da bist. Schreib einfach drauflos, wir lesen mit.`;
}

const ANSWERS: readonly { readonly to: RegExp; readonly texts: readonly string[] }[] = [
  {
    to: /\b(hallo|hi|moin|servus|guten (tag|morgen|abend)|hello)\b/i,
    texts: ["Hallo! Schön, von dir zu hören.", "Moin! 👋"],
  },
  { to: /\bdanke|thank/i, texts: ["Gern geschehen!", "Immer wieder gern. 😊"] },
  {
    to: /brot|brötchen|bread|kuchen|teig/i,
    texts: ["Frisch aus dem Ofen, ich lege dir eins zurück! 🥖", "Davon haben wir heute genug. Komm vorbei!"],
  },
  {
    to: /wann|uhr|zeit|when|morgen/i,
    texts: ["Morgen ab fünf in der Backstube, ab halb sieben vorne im Laden.", "Ich schaue nach und melde mich."],
  },
  {
    to: /\?\s*$/,
    texts: ["Gute Frage! Ich frage in der Leitung nach.", "Da muss ich kurz überlegen … ich melde mich gleich."],
  },
];
const OTHERWISE = ["Alles klar!", "Verstanden, danke für die Nachricht.", "Das gebe ich so weiter.", "👍"];

/** What somebody at the bakery answers to a text; `chance` in [0, 1) picks among several. */
export function answerTo(text: string, chance: number): string {
  const texts = ANSWERS.find(({ to }) => to.test(text))?.texts ?? OTHERWISE;
  return texts[Math.floor(chance * texts.length)] ?? "👍";
}

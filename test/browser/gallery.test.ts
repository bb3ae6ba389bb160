// Looks at every screen of the client over the fake engine: on a desk and a phone, light and dark, German and English.

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ServedPage } from "./support/built.ts";
import {
  DESKTOP,
  gatherComplaints,
  launch,
  namelessControls,
  openProfile,
  PHONE,
  picture,
} from "./support/chromium.ts";
import { lowContrast } from "./support/contrast.ts";
import { serveGallery } from "./support/gallery-server.ts";

const TEAM = "cTeamxxxxxxxxxxxxxxxxA";
const BEN = "cBenxxxxxxxxxxxxxxxxxA";
const FRIEDA = "cFriedaxxxxxxxxxxxxxxA";
const LONG = "cLongxxxxxxxxxxxxxxxxA";

interface Screen {
  readonly name: string;
  readonly path: string;
  /** A text that stands on the screen, so that an empty page cannot pass. */
  readonly shows: readonly [de: string, en: string];
  readonly act?: (page: Page) => Promise<void>;
}

const press = (name: RegExp) => (page: Page) => page.getByRole("button", { name }).first().click();

const SCREENS: readonly Screen[] = [
  { name: "sign-up", path: "/?scene=fresh", shows: ["Unternehmen anmelden", "Sign up your company"] },
  {
    name: "sign-up-empty",
    path: "/?scene=fresh",
    shows: ["Bitte füllen Sie dieses Feld aus.", "Please fill in this field."],
    act: press(/^(Anmelden|Sign up)$/),
  },
  { name: "join", path: "/join?scene=fresh#x", shows: ["Bäckerei Sommer beitreten", "Join Bäckerei Sommer"] },
  {
    name: "join-used-up",
    path: "/join?scene=refused-invite_used_up#x",
    shows: ["Diese Einladung wurde bereits verwendet.", "This invitation has already been used."],
  },
  {
    name: "join-expired",
    path: "/join?scene=refused-invite_expired#x",
    shows: ["Diese Einladung ist abgelaufen.", "This invitation has expired."],
  },
  {
    name: "join-revoked",
    path: "/join?scene=refused-invite_revoked#x",
    shows: ["Diese Einladung wurde zurückgezogen.", "This invitation has been withdrawn."],
  },
  {
    name: "join-unknown",
    path: "/join?scene=refused-not_found#x",
    shows: ["Diesen Einladungslink kennt der Server nicht.", "The server does not know this invitation link."],
  },
  {
    name: "join-missing",
    path: "/join?scene=fresh",
    shows: ["In dieser Adresse fehlt die Einladung.", "no invitation"],
  },
  {
    name: "join-already",
    path: "/join?scene=busy#x",
    shows: ["Sie sind schon angemeldet", "You are signed in already"],
  },
  { name: "alone", path: "/?scene=alone", shows: ["Noch ist niemand außer Ihnen hier", "Nobody is here but you yet"] },
  { name: "list", path: "/?scene=busy", shows: ["Backstube", "Backstube"] },
  { name: "group", path: `/c/${TEAM}?scene=busy`, shows: ["Neue Nachrichten", "New messages"] },
  { name: "direct", path: `/c/${BEN}?scene=busy`, shows: ["Nicht gesendet", "Not sent"] },
  { name: "people", path: `/c/${TEAM}/people?scene=busy`, shows: ["Unterhaltung verlassen", "Leave conversation"] },
  { name: "entering", path: "/link?scene=entering", shows: ["Ziffern vergleichen", "Compare the digits"] },
  {
    name: "arriving",
    path: "/?scene=arriving",
    shows: ["Ohne den Verlauf weiter", "Go on without the history"],
  },
  {
    name: "handing-list",
    path: "/settings?scene=handing",
    shows: ["Ihr Verlauf wird verschlüsselt übergeben", "Your history is being handed over"],
  },
  {
    name: "handing",
    path: "/settings?scene=handing",
    shows: ["Ihr Verlauf wird verschlüsselt übergeben", "Your history is being handed over"],
    act: press(/^(Gerät hinzufügen|Add a device)$/),
  },
  {
    name: "member-devices",
    path: `/c/${TEAM}/people?scene=busy`,
    shows: ["Geräte von Ben Aydın", "Devices of Ben Aydın"],
    act: press(/^(Geräte von|Devices of) Ben Aydın$/),
  },
  {
    name: "leave",
    path: `/c/${TEAM}/people?scene=busy`,
    shows: ["Diese Unterhaltung verlassen?", "Leave this conversation?"],
    act: press(/Unterhaltung verlassen|Leave conversation/),
  },
  { name: "marks", path: `/c/cShopxxxxxxxxxxxxxxxxA/marks?scene=busy`, shows: ["Stummschalten", "Mute"] },
  { name: "timer", path: `/c/${TEAM}/timer?scene=busy`, shows: ["8 Stunden", "8 hours"] },
  { name: "encryption", path: `/c/${TEAM}/encryption?scene=busy`, shows: ["48210", "48210"] },
  {
    name: "new-conversation",
    path: "/?scene=busy",
    shows: ["1 Person ausgewählt", "1 person chosen"],
    act: async (page) => {
      await press(/Neue Unterhaltung|New conversation/)(page);
      await page.getByLabel("Carla Winkler").check();
    },
  },
  {
    name: "settings",
    path: "/settings?scene=busy",
    shows: ["Der Link ist bereit", "The link is ready"],
    act: press(/Link erstellen|Create link/),
  },
  {
    name: "settings-passkeys",
    path: "/settings?scene=busy",
    shows: ["Sicherheitsschlüssel im Tresor", "Sicherheitsschlüssel im Tresor"],
    act: (page) => page.getByRole("region", { name: "Passkeys" }).scrollIntoViewIfNeeded(),
  },
  {
    name: "add-passkey",
    path: "/settings?scene=busy",
    shows: ["Name des Passkeys", "Name of the passkey"],
    act: press(/Passkey hinzufügen|Add a passkey/),
  },
  { name: "recover", path: "/recover?scene=fresh", shows: ["Ihre 24 Wörter", "Your 24 words"] },
  {
    // At an address of numbers no browser knows passkeys
    name: "recover-unsupported",
    path: "/recover?scene=fresh",
    shows: ["Dieser Browser kann hier keinen Passkey verwenden", "This browser cannot use a passkey here"],
    act: press(/Mit Passkey wiederherstellen|Recover with a passkey/),
  },
  {
    name: "settings-role",
    path: "/settings?scene=busy",
    shows: ["Lädt außerdem ein", "Also invites"],
    act: press(/^(Rolle von Ben Aydın ändern|Change the role of Ben Aydın)/),
  },
  {
    name: "settings-remove",
    path: "/settings?scene=busy",
    shows: ["Ben Aydın aus dem Unternehmen entfernen?", "Remove Ben Aydın from the company?"],
    act: async (page) => {
      await press(/^(Rolle von Ben Aydın ändern|Change the role of Ben Aydın)/)(page);
      await press(/^(Entfernen|Remove) …$/)(page);
    },
  },
  {
    name: "settings-policy",
    path: "/settings?scene=busy",
    shows: ["Die kürzeste Lebensdauer ist länger", "The shortest lifetime is longer"],
    act: async (page) => {
      await press(/^(Ändern|Change)$/)(page);
      await page.getByLabel(/^(Längste Lebensdauer|Longest lifetime)$/).selectOption({ index: 2 });
      await page.getByLabel(/^(Kürzeste Lebensdauer|Shortest lifetime)$/).selectOption({ index: 3 });
    },
  },
  { name: "unknown", path: `/c/${"n".repeat(21)}A?scene=busy`, shows: ["gibt es hier nicht", "no such conversation"] },
  { name: "broken", path: "/c/cBrokenxxxxxxxxxxxxxxA?scene=busy", shows: ["nicht lückenlos", "without gaps"] },
  {
    name: "ended-conversation",
    path: "/c/cOldxxxxxxxxxxxxxxxxxA?scene=busy",
    shows: ["nicht mehr in", "no longer in"],
  },
  {
    name: "safety",
    path: `/c/${BEN}/people?scene=busy`,
    shows: ["noch nicht verglichen", "not compared yet"],
    act: press(/Sicherheitsnummer mit|Safety number with/),
  },
  { name: "changed-key", path: `/c/${BEN}?scene=changed`, shows: ["Gesendet wird erst", "Nothing is sent until"] },
  {
    name: "outside",
    path: `/c/${BEN}?scene=outside`,
    shows: ["Dieses Gerät kommt gerade nicht in die Unterhaltung", "This device does not get into the conversation"],
  },
  {
    name: "outside-joining",
    path: `/c/${FRIEDA}?scene=outside`,
    shows: ["Dieses Gerät kommt gerade nicht in die Unterhaltung", "This device does not get into the conversation"],
  },
  {
    name: "changed-key-safety",
    path: `/c/${BEN}?scene=changed`,
    shows: ["Ohne Vergleich fortfahren", "Go on without comparing"],
    act: press(/^(Ansehen|Look)$/),
  },
  {
    name: "invite-again",
    path: "/settings?scene=busy",
    shows: ["alle Geräte und die Wiederherstellungswörter verloren", "lost every device and the recovery words"],
    act: async (page) => {
      await press(/Rolle von Carla Winkler|role of Carla Winkler/)(page);
      await press(/^(Neu einladen|Invite anew) …$/)(page);
    },
  },
  { name: "join-again", path: "/join?scene=returning#x", shows: ["Willkommen zurück, Ben", "Welcome back, Ben"] },
  { name: "findings", path: `/c/${TEAM}?scene=findings`, shows: ["ein fremdes Gerät", "slip in a device"] },
  { name: "offline", path: "/?scene=offline", shows: ["Offline. Nachrichten", "Offline. Messages"] },
  { name: "connecting", path: "/?scene=connecting", shows: ["Verbindung wird hergestellt", "Connecting"] },
  { name: "elsewhere", path: "/?place=elsewhere", shows: ["in einem anderen Tab", "in another tab"] },
  { name: "shut", path: "/?place=shut", shows: ["Dieser Browser ist abgemeldet", "This browser is signed out"] },
  { name: "unreachable", path: "/?place=unreachable", shows: ["Zum Öffnen fehlt", "A connection is needed"] },
  { name: "guarded", path: "/?place=guarded", shows: ["Kuvert ist gesperrt", "Kuvert is locked"] },
  { name: "guarded-wrong", path: "/?place=wrong", shows: ["4 Versuche bleiben", "4 tries are left"] },
  { name: "guarded-locked", path: "/?place=locked", shows: ["zu oft falsch", "wrong too many times"] },
  {
    name: "guarded-forgotten",
    path: "/?place=guarded",
    shows: ["Was in diesem Browser liegt", "What is kept in this browser"],
    act: press(/vergessen|Forgotten/),
  },
  { name: "guarded-passkey", path: "/?place=passkey", shows: ["Mit Passkey entsperren", "Unlock with passkey"] },
  { name: "guarded-passkey-wrong", path: "/?place=passkey-wrong", shows: ["nicht das richtige", "the right secret"] },
  {
    name: "guarded-passkey-lost",
    path: "/?place=passkey",
    shows: ["Ohne diesen Passkey", "Without this passkey"],
    act: press(/nicht mehr da|no longer there/),
  },
  {
    name: "app-lock",
    path: "/settings?scene=busy&lock=5",
    shows: ["Passphrase oder Passkey ändern", "Change passphrase or passkey"],
    act: (page) => page.getByRole("heading", { name: /^(App-Sperre|App lock)$/ }).scrollIntoViewIfNeeded(),
  },
  {
    name: "app-lock-on",
    path: "/settings?scene=busy",
    shows: ["Passphrase wiederholen", "Repeat the passphrase"],
    act: press(/Sperre einschalten|Turn on the lock/),
  },
  {
    name: "app-lock-passkey",
    path: "/settings?scene=busy",
    shows: ["bringt keine Sicherung", "brings back no backup"],
    act: async (page) => {
      await press(/Sperre einschalten|Turn on the lock/)(page);
      await press(/^Passkey$/)(page);
    },
  },
  {
    name: "app-lock-change",
    path: "/settings?scene=busy&lock=5&by=passkey",
    shows: ["nach dem bisherigen Passkey", "the present passkey"],
    act: press(/Passkey ändern|or passkey/),
  },
  { name: "ended", path: "/?scene=ended", shows: ["Dieser Browser ist abgemeldet", "This browser is signed out"] },
  { name: "suspended", path: "/?scene=suspended", shows: ["Das Unternehmen ist gesperrt", "The company is suspended"] },
  { name: "crashed", path: "/?place=crashed", shows: ["Kuvert musste anhalten", "Kuvert had to stop"] },
];

const MODES = [
  { name: "desktop-light-de", viewport: DESKTOP, colorScheme: "light", locale: "de-DE" },
  { name: "phone-light-de", viewport: PHONE, colorScheme: "light", locale: "de-DE" },
  { name: "desktop-dark-en", viewport: DESKTOP, colorScheme: "dark", locale: "en-US" },
  { name: "phone-dark-en", viewport: PHONE, colorScheme: "dark", locale: "en-US" },
] as const;

let served: ServedPage;
let browser: Browser;
beforeAll(async () => {
  served = await serveGallery();
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await served?.stop();
});

describe.each(MODES)("$name", ({ name: mode, viewport, colorScheme, locale }) => {
  test("U1, U2: every screen stands, names all its controls, and is legible", { timeout: 240_000 }, async () => {
    const context = await openProfile(browser, { ...viewport, colorScheme, locale });
    const complaints = gatherComplaints(context);
    const page = await context.newPage();
    for (const { name, path, shows, act } of SCREENS) {
      await page.goto(`${served.url}${path}`);
      await act?.(page);
      await page
        .getByText(shows[locale === "de-DE" ? 0 : 1])
        .filter({ visible: true })
        .first()
        .waitFor();
      expect(await page.locator("html").getAttribute("lang"), name).toBe(locale.slice(0, 2));
      expect(await namelessControls(page), name).toEqual([]);
      expect(await lowContrast(page), name).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), name).toBeLessThanOrEqual(0);
      await picture(page, `${name}-${mode}`);
    }
    expect(complaints).toEqual([]);
    await context.close();
  });
});

test("U2: the checks notice a control without a name and a text that is too pale", async () => {
  const context = await openProfile(browser);
  const page = await context.newPage();
  await page.setContent('<button></button><input><a href="/"></a><p id="pale">pale</p><p>good</p>');
  await page.addStyleTag({ content: "#pale { color: #999 }" });
  expect(await namelessControls(page)).toHaveLength(3);
  expect(await lowContrast(page)).toEqual(["2.85 pale"]);
  await context.close();
});

/** A camera that sees a code at its third look, and a reader for it. */
function giveCamera(code: string): void {
  let looks = 0;
  const canvas = document.createElement("canvas");
  const stream = canvas.captureStream();
  class Reader {
    static getSupportedFormats = async () => ["qr_code"];
    detect = async () => (++looks < 3 ? [] : [{ rawValue: code }]);
  }
  const mediaDevices = { getUserMedia: async () => stream };
  Object.defineProperty(navigator, "mediaDevices", { value: mediaDevices });
  Object.assign(globalThis, {
    BarcodeDetector: Reader,
    isCameraOff: () => stream.getTracks().every(({ readyState }) => readyState === "ended"),
  });
  // A canvas that is not drawn on gives no picture, and a video without one does not play
  setInterval(() => canvas.getContext("2d")?.fillRect(0, 0, 1, 1), 50);
}

describe("safety numbers", () => {
  test("I11: a changed key is looked at, and what waits goes on once a person has decided", async () => {
    const context = await openProfile(browser);
    const page = await context.newPage();
    await page.goto(`${served.url}/c/${BEN}?scene=changed`);
    await page.getByText("Gesendet wird erst, wenn Sie nachgesehen haben").waitFor();
    await page.getByRole("button", { name: "Ansehen" }).click();
    await page.getByText("den alten hatten Sie verglichen. Bis Sie entscheiden").waitFor();
    // No camera that reads codes here, so nothing offers to scan
    expect(await page.getByRole("button", { name: "Code scannen" }).count()).toBe(0);
    await page.getByRole("button", { name: "Ohne Vergleich fortfahren" }).click();
    await page.getByText("Gesendet wird erst").waitFor({ state: "detached" });
    await context.close();
  });

  test.for([
    ["kuvert-safety:theirs", "Verglichen am"],
    ["kuvert-safety:other", "Die Schlüssel stimmen nicht überein"],
  ])("I12: where a camera reads codes, the other one's is scanned: %s", async ([code = "", said = ""]) => {
    const context = await openProfile(browser);
    await context.addInitScript(giveCamera, code);
    const page = await context.newPage();
    await page.goto(`${served.url}/c/${BEN}/people?scene=busy`);
    await page.getByRole("button", { name: /Sicherheitsnummer mit Ben/ }).click();
    await page.getByRole("button", { name: "Code scannen" }).click();
    await page.getByText(said).waitFor();
    expect(await page.evaluate("isCameraOff()")).toBe(true);
    expect(await page.getByRole("img", { name: /Code, den Ben/ }).count()).toBe(1);
    await context.close();
  });
});

describe("timeline", () => {
  test("U3: a long history is rendered a window at a time and keeps its place while older lines come in", async () => {
    const context = await openProfile(browser);
    const page = await context.newPage();
    await page.goto(`${served.url}/c/${LONG}?scene=busy`);
    const scroller = page.getByRole("region", { name: /Archiv/ });
    await page.getByText("Zeile 4999 ").first().waitFor();
    for (const wanted of [4900, 4800, 4600, 4400]) {
      const line = page.locator(`[data-key="l${wanted}"]`);
      while ((await line.count()) === 0) {
        const first = page.locator("[data-key]").first();
        const key = await first.getAttribute("data-key");
        await scroller.evaluate((element) => element.scrollTo({ top: 300 }));
        await page.waitForFunction(
          (before) => document.querySelector("[data-key]")?.getAttribute("data-key") !== before,
          key,
        );
      }
      expect(await page.locator("[data-key]").count()).toBeLessThanOrEqual(200);
    }
    const seen = await scroller.evaluate((element) => element.scrollTop);
    expect(seen).toBeGreaterThan(300);
    await page.getByRole("button", { name: "Zur neuesten Nachricht" }).click();
    await page.getByText("Zeile 4999 ").first().waitFor();
    expect(await page.locator("[data-key]").count()).toBeLessThanOrEqual(200);
    await context.close();
  });

  test("U4: what is typed stays with its conversation, Enter sends, Shift and Enter does not", async () => {
    const context = await openProfile(browser);
    const page = await context.newPage();
    await page.goto(`${served.url}/c/${TEAM}?scene=busy`);
    const field = page.getByLabel("Nachricht an Backstube");
    await field.fill("erste Zeile");
    await field.press("Shift+Enter");
    await field.pressSequentially("zweite Zeile");
    await page.getByRole("link", { name: /^Ben Aydın / }).click();
    await page.getByLabel("Nachricht an Ben Aydın").waitFor();
    expect(await page.getByLabel("Nachricht an Ben Aydın").inputValue()).toBe("");
    await page.getByRole("link", { name: /Entwurf/ }).click();
    expect(await field.inputValue()).toBe("erste Zeile\nzweite Zeile");
    await field.press("Enter");
    await page.getByRole("listitem").filter({ hasText: "erste Zeile\nzweite Zeile" }).last().waitFor();
    expect(await field.inputValue()).toBe("");
    await context.close();
  });

  test("U5: arrow keys walk the list, Escape closes a panel and gives the focus back", async () => {
    const context = await openProfile(browser);
    const page = await context.newPage();
    await page.goto(`${served.url}/?scene=busy`);
    await page.getByRole("link", { name: /^Backstube/ }).focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Backstube" }).waitFor();
    const opener = page.getByRole("button", { name: "Personen" });
    await opener.press("Enter");
    await page.getByRole("complementary", { name: "Personen" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("complementary", { name: "Personen" }).waitFor({ state: "detached" });
    expect(await opener.evaluate((button) => button === document.activeElement)).toBe(true);
    await context.close();
  });
});

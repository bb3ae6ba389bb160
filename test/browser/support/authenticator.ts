// A virtual authenticator for one page (Chromium's own, WebAuthn over CDP): it makes and keeps passkeys without anybody touching anything.

import type { CDPSession, Page } from "playwright-core";

interface Credential {
  readonly credentialId: string;
  readonly isResidentCredential: boolean;
  readonly rpId?: string;
  readonly privateKey: string;
  readonly userHandle?: string;
  readonly signCount: number;
}

export class Authenticator {
  readonly #page: Page;
  readonly #session: CDPSession;
  readonly #id: string;

  private constructor(page: Page, session: CDPSession, id: string) {
    this.#page = page;
    this.#session = session;
    this.#id = id;
  }

  /** Plugs one in. It stays with the page wherever that goes. */
  static async at(page: Page, { hasPrf }: { readonly hasPrf: boolean }): Promise<Authenticator> {
    const session = await page.context().newCDPSession(page);
    await session.send("WebAuthn.enable");
    const { authenticatorId } = await session.send("WebAuthn.addVirtualAuthenticator", {
      options: {
        protocol: "ctap2",
        ctap2Version: "ctap2_1",
        transport: "internal",
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
        hasPrf,
      },
    });
    return new Authenticator(page, session, authenticatorId);
  }

  async credentials(): Promise<readonly Credential[]> {
    return (await this.#session.send("WebAuthn.getCredentials", { authenticatorId: this.#id })).credentials;
  }

  /** Puts a credential of another authenticator into this one, as far as it can be carried: the secret of PRF cannot. */
  async carry(credential: Credential): Promise<void> {
    await this.#session.send("WebAuthn.addCredential", { authenticatorId: this.#id, credential });
  }

  /** Forgets every passkey. */
  async clear(): Promise<void> {
    await this.#session.send("WebAuthn.clearCredentials", { authenticatorId: this.#id });
  }

  /** Makes the browser around it a new, empty one: everything that any page has stored is gone, only the authenticator stays. */
  async emptyBrowser(url: string): Promise<void> {
    await this.#page.goto("about:blank");
    const { origin } = new URL(url);
    await this.#session.send("Storage.clearDataForOrigin", { origin, storageTypes: "all" });
    await this.#page.goto(url);
  }
}

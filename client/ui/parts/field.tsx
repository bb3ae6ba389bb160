// Owns the labelled text field for names, with its own check and sentence.

import { createSignal, createUniqueId, type JSX, Show } from "solid-js";
import { LIMITS } from "../../../schemas/policy.ts";
import { t } from "../language.ts";

/** Why a text is no name, or null. The server's rule is schemas/api.ts `Name`. */
function nameProblem(text: string): string | null {
  const name = text.normalize("NFC").trim();
  if (name === "") return t().nameMissing;
  return name.length > LIMITS.nameCharacters || /[\p{Cc}\p{Cs}]/u.test(name) ? t().nameInvalid : null;
}

export interface NameField {
  readonly value: () => string;
  readonly problem: () => string | null;
  readonly set: (value: string) => void;
  /** The name, trimmed; null when it is none, which the field then says. */
  readonly check: () => string | null;
}

/** The state of a field that must hold a name, `before` until somebody changes it. */
export function createNameField(before = ""): NameField {
  const [value, set] = createSignal(before);
  const [checked, setChecked] = createSignal(false);
  return {
    value,
    set,
    problem: () => (checked() ? nameProblem(value()) : null),
    check: () => {
      setChecked(true);
      return nameProblem(value()) === null ? value().normalize("NFC").trim() : null;
    },
  };
}

export function NameInput(props: {
  field: NameField;
  label: string;
  placeholder: string;
  autocomplete: "organization" | "name" | "off";
}): JSX.Element {
  const id = createUniqueId();
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <input
        id={id}
        class="input"
        type="text"
        autocomplete={props.autocomplete}
        placeholder={props.placeholder}
        maxlength={LIMITS.nameCharacters}
        value={props.field.value()}
        aria-invalid={props.field.problem() !== null}
        aria-describedby={`${id}-problem`}
        onInput={(event: InputEvent) => props.field.set((event.target as HTMLInputElement).value)}
      />
      <p class="field-problem" id={`${id}-problem`}>
        <Show when={props.field.problem()}>{(text) => text()}</Show>
      </p>
    </div>
  );
}

// Owns the question before a device is signed out, one's own or another member's.

import type { JSX } from "solid-js";
import type { DeviceView } from "../../engine/view.ts";
import { t } from "../language.ts";
import { Confirm } from "../parts/dialog.tsx";
import { useSession } from "../session.ts";

export function RevokeDevice(props: {
  device: DeviceView;
  onRevoked: () => Promise<unknown> | unknown;
  onClose: () => void;
}): JSX.Element {
  const { engine } = useSession();
  const revoke = async (): Promise<void> => {
    await engine.revokeDevice(props.device.id);
    await props.onRevoked();
  };
  return (
    <Confirm
      question={t().deviceRevokeQuestion(props.device.name)}
      help={t().deviceRevokeHelp}
      confirm={t().deviceRevoke}
      onConfirm={revoke}
      onClose={props.onClose}
    />
  );
}

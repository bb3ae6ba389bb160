// Owns the sentence for everything that happened in a conversation besides texts.

import type { MemberId } from "../../../schemas/ids.ts";
import type { MessageView, Notice } from "../../engine/view.ts";
import { formatDuration, t } from "../language.ts";
import type { Session } from "../session.ts";
import { affected } from "./layout.ts";

/** One quiet line for a notice. */
export function noticeText(notice: Notice, line: MessageView, kind: "direct" | "group", session: Session): string {
  const words = t();
  const who = line.from === null ? words.someone : session.name(line.from);
  const own = session.view.account?.member.id;
  const whom = (members: readonly MemberId[]): string =>
    affected(members, line.from)
      .map((id) => (id === own ? words.youObject : session.name(id)))
      .join(", ");
  switch (notice.kind) {
    case "created":
      return line.mine ? words.noticeCreatedByYou : words.noticeCreated(who);
    case "added":
      // Nobody is added to a talk of two; this is how the other one sees it begin.
      if (kind === "direct") return words.noticeCreated(who);
      return line.mine ? words.noticeAddedByYou(whom(notice.members)) : words.noticeAdded(who, whom(notice.members));
    case "removed":
      if (own !== undefined && notice.members.includes(own)) return words.noticeGoneYou;
      if (line.from === null) return words.noticeGone(whom(notice.members));
      return line.mine
        ? words.noticeRemovedByYou(whom(notice.members))
        : words.noticeRemoved(who, whom(notice.members));
    case "left":
      return line.mine ? words.noticeLeftYou : words.noticeLeft(who);
    case "titled":
      return notice.title === null ? words.noticeUntitled : words.noticeTitled(notice.title);
    case "timer":
      return notice.expiresIn === null ? words.noticeTimerOff : words.noticeTimer(formatDuration(notice.expiresIn));
    case "rekeyed":
      return words.noticeRekeyed(session.name(notice.member));
    case "contradicted":
      return words.noticeContradicted(who);
    case "renewed":
      return words.noticeRenewed;
    case "missed":
      return words.noticeMissed;
    case "unreadable":
      return words.noticeUnreadable;
  }
}

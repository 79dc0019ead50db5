// The thread pane: the root message, its replies, a composer of its own.

import { stopSession } from "./act.js";
import { composer } from "./composer.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { messageNode } from "./message.js";
import { markRead } from "./reading.js";
import { go } from "./route.js";
import { noteNewest, scrolls } from "./scroller.js";
import { message, nameOf, store, theBot } from "./state.js";
import { messageList, newPill, threadReplies } from "./timeline.js";
import { ui } from "./ui.js";

const STATUS = { processing: "is working on this", suspended: "is waiting", active: null, closed: null };

function sessionLine(channel) {
  const session = store.sessions.find((one) => one.channel === channel.id && one.thread_ts === ui.thread);
  // `assistant.threads.setStatus` sends words of its own.
  const words = session && (Object.hasOwn(STATUS, session.status) ? STATUS[session.status] : session.status);
  if (!words) return null;
  return h(
    "div",
    { class: "session", key: "session", "data-testid": "session" },
    h("span", { class: "dots", "aria-hidden": "true" }),
    h("bdi", null, `${session.title || nameOf(theBot()?.id ?? "The app")} ${words.replace(/[.…]+$/, "")}…`),
    session.status === "processing"
      ? h(
          "button",
          {
            type: "button",
            class: "button danger",
            "data-testid": "stop-session",
            onclick: () => stopSession(channel.id, ui.thread),
          },
          "Stop",
        )
      : null,
  );
}

export function threadPane(channel) {
  if (!ui.thread) return null;
  const root = message(channel.id, ui.thread);
  const replies = threadReplies(channel.id, ui.thread);
  const name = `${ui.persona}:${channel.id}:${ui.thread}`;
  const list = noteNewest(name, replies, ui.persona);
  if (list.stuck && document.visibilityState === "visible")
    markRead(ui.persona, channel.id, ui.thread, replies.at(-1)?.ts);
  const count = replies.length;
  return h(
    "aside",
    { class: "thread", key: "thread", "aria-label": "Thread", "data-testid": "thread", "data-thread": ui.thread },
    h(
      "header",
      { class: "bar" },
      h(
        "div",
        { class: "bar-title" },
        h("h2", null, "Thread"),
        h("bdi", { class: "bar-note" }, channel.is_im ? "Direct message" : `#${channel.name}`),
      ),
      h(
        "button",
        {
          type: "button",
          class: "iconbutton",
          "aria-label": "Close thread",
          title: "Close thread (Esc)",
          "data-testid": "close-thread",
          onclick: () => go({ thread: null }),
        },
        icon("close"),
      ),
    ),
    h(
      "div",
      { class: "scrollbox" },
      h(
        "div",
        {
          ...scrolls(name),
          class: "scroll",
          role: "log",
          "aria-live": "polite",
          tabindex: "0",
          "aria-label": "Replies",
        },
        h(
          "div",
          { class: "messages" },
          root
            ? messageNode(root, { where: "thread" })
            : h("p", { class: "nothing" }, "This message is not here, or only someone else can see it."),
          count
            ? h(
                "div",
                { class: "reply-rule", key: "rule" },
                h("span", null, count === 1 ? "1 reply" : `${count} replies`),
              )
            : null,
          messageList(replies, "thread").filter((node) => !String(node.key).startsWith("day-")),
        ),
      ),
      newPill(name, list),
    ),
    sessionLine(channel),
    composer(channel, ui.thread),
  );
}

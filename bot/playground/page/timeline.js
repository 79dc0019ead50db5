// The main column of a channel: days, messages, and the pill that says something new is further down.

import { h } from "./dom.js";
import { icon } from "./icons.js";
import { continues, messageNode } from "./message.js";
import { markRead } from "./reading.js";
import { jumpToEnd, noteNewest, scrolls, unstick } from "./scroller.js";
import { nameOf, repliesTo, store, theBot, timelineOf } from "./state.js";
import { dayKey, dayName } from "./time.js";
import { afterDraw, refresh, ui } from "./ui.js";

/** Replies counted once per drawing: root ts -> { count, last, people }. */
function threadsOf(channel, persona) {
  const threads = new Map();
  for (const one of store.messages.values()) {
    if (one.channel !== channel || !one.thread_ts || one.thread_ts === one.ts) continue;
    if (one.ephemeral_to && one.ephemeral_to !== persona) continue;
    const thread = threads.get(one.thread_ts) ?? { count: 0, last: "", people: [] };
    if (!one.ephemeral_to) thread.count += 1;
    if (one.ts > thread.last) thread.last = one.ts;
    if (!thread.people.includes(one.user)) thread.people.push(one.user);
    threads.set(one.thread_ts, thread);
  }
  return threads;
}

/** Messages with what goes between them. */
export function messageList(messages, where, threads = new Map()) {
  const out = [];
  let before = null;
  for (const one of messages) {
    if (!before || dayKey(before.ts) !== dayKey(one.ts)) {
      out.push(
        h("div", { class: "day", key: `day-${dayKey(one.ts)}`, role: "separator" }, h("span", null, dayName(one.ts))),
      );
      before = null;
    }
    out.push(messageNode(one, { where, grouped: continues(one, before), thread: threads.get(one.ts) }));
    before = one;
  }
  return out;
}

/** The pill over a list that is not at its end. */
export function newPill(name, list) {
  if (list.stuck || !list.unseen) return null;
  return h(
    "button",
    { type: "button", class: "pill", "data-testid": "new-messages", onclick: () => jumpToEnd(name) },
    list.unseen === 1 ? "1 new message" : `${list.unseen} new messages`,
    icon("down"),
  );
}

function beginning(channel) {
  const bot = theBot();
  const title = channel.is_im ? `You and ${nameOf(bot?.id)}` : `# ${channel.name}`;
  return h(
    "div",
    { class: "beginning", key: "beginning" },
    h("h2", null, h("bdi", null, title)),
    h(
      "p",
      null,
      channel.is_im ? "Only the two of you see what is written here." : `This is where #${channel.name} begins.`,
    ),
    bot && !channel.is_im
      ? h(
          "p",
          null,
          "Mention ",
          h("span", { class: "mention" }, `@${bot.name}`),
          " and say what you need; files can be dropped anywhere here.",
        )
      : null,
  );
}

/** How many messages are drawn; older ones come on request, so that a long history costs nothing. */
const PAGE = 150;
const drawn = new Map(); // list name -> count

function earlier(name, total) {
  const shown = drawn.get(name) ?? PAGE;
  if (total <= shown) return null;
  const more = (event) => {
    const list = event.currentTarget.closest(".scroll");
    const below = list.scrollHeight - list.scrollTop;
    drawn.set(name, shown + PAGE);
    unstick(name);
    refresh();
    // What was on screen stays where it was, with the older messages above it.
    afterDraw(() => (list.scrollTop = list.scrollHeight - below));
  };
  return h(
    "button",
    { type: "button", class: "button earlier", key: "earlier", "data-testid": "earlier", onclick: more },
    `Show earlier messages (${total - shown} more)`,
  );
}

/** Make sure that a linked message is among those drawn. */
export function reach(channelId, ts) {
  const name = `${ui.persona}:${channelId}`;
  const messages = timelineOf(channelId, ui.persona);
  const at = messages.findIndex((one) => one.ts === ts);
  if (at >= 0 && messages.length - at > (drawn.get(name) ?? PAGE)) drawn.set(name, messages.length - at + 20);
}

export function timeline(channel) {
  const name = `${ui.persona}:${channel.id}`;
  if (ui.pulse) reach(channel.id, ui.pulse);
  const messages = timelineOf(channel.id, ui.persona);
  const shown = messages.slice(-(drawn.get(name) ?? PAGE));
  const list = noteNewest(name, messages, ui.persona);
  if (list.stuck && document.visibilityState === "visible") markRead(ui.persona, channel.id, null, messages.at(-1)?.ts);
  return h(
    "div",
    { class: "scrollbox" },
    h(
      "div",
      {
        ...scrolls(name),
        class: "scroll",
        role: "log",
        "aria-label": channel.is_im ? "Direct message" : `Messages in #${channel.name}`,
        "aria-live": "polite",
        tabindex: "0",
        "data-testid": "timeline",
      },
      h(
        "div",
        { class: "messages" },
        shown.length < messages.length ? earlier(name, messages.length) : beginning(channel),
        messageList(shown, "main", threadsOf(channel.id, ui.persona)),
      ),
    ),
    newPill(name, list),
  );
}

/** Replies for a thread pane, and the note that they were seen. */
export function threadReplies(channelId, root) {
  return repliesTo(channelId, root, ui.persona);
}

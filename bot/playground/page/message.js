// One message: who, when, what, its files, reactions and the way into its thread.

import { messageSender, removeMessage, shortcut } from "./act.js";
import { avatar } from "./avatar.js";
import { renderBlocks } from "./blocks/index.js";
import { Memo, h } from "./dom.js";
import { filesOf } from "./files.js";
import { messageSurface } from "./forms.js";
import { icon } from "./icons.js";
import { markdown } from "./markdown.js";
import { mrkdwn, textLine } from "./mrkdwn.js";
import { threadIsUnread } from "./reading.js";
import { isOpen, openMenu } from "./menu.js";
import { ask } from "./confirm.js";
import { reactButton, reactionRow } from "./reactions.js";
import { go } from "./route.js";
import { isBot, isStreaming, nameOf, store, user, warningFor, wasStreamed } from "./state.js";
import { ago, clock, exact, shortClock } from "./time.js";
import { revision, ui } from "./ui.js";
import { suggestions } from "./suggest.js";

const GROUP_S = 300;
const memo = new Memo();

/** Whether a message continues the one before it, so that name and avatar are not repeated. A card always begins anew. */
export function continues(one, before) {
  return Boolean(
    before &&
    !one.blocks?.length &&
    !before.blocks?.length &&
    before.user === one.user &&
    before.username === one.username &&
    !before.ephemeral_to === !one.ephemeral_to &&
    Number(one.ts) - Number(before.ts) < GROUP_S &&
    one.subtype !== "tombstone" &&
    before.subtype !== "tombstone",
  );
}

function attachment(given, one, ctx, index) {
  const colour = { good: "good", warning: "warning", danger: "danger" }[given.color] ?? "plain";
  const body = given.blocks?.length
    ? renderBlocks(given.blocks, { ...ctx, blocks: given.blocks })
    : [
        given.pretext ? h("div", { class: "rich" }, mrkdwn(given.pretext, ctx.me)) : null,
        given.title ? h("div", { class: "card-title" }, textLine(given.title)) : null,
        h("div", { class: "rich" }, mrkdwn(given.text ?? given.fallback ?? "", ctx.me)),
      ];
  return h("div", { class: `attachment attachment-${colour}`, key: `attachment-${index}` }, body);
}

/** The text; "(edited)" ends its last line. Cards made of blocks change all the time and carry no such mark, as in Slack. */
function words(one) {
  const parts = mrkdwn(one.text, ui.persona);
  if (one.edited) {
    const mark = h("span", { class: "edited", title: one.edited.ts ? exact(one.edited.ts) : null }, " (edited)");
    if (parts.at(-1)?.tag === "p") parts.at(-1).kids.push(mark);
    else parts.push(mark);
  }
  return parts;
}

function content(one, surface) {
  if (one.subtype === "tombstone") return h("p", { class: "tombstone" }, "This message was deleted.");
  const ctx = {
    surface,
    me: ui.persona,
    scope: "message",
    send: messageSender(one, surface),
    suggest: (block, element, query) =>
      suggestions({
        channel: one.channel,
        ts: one.ts,
        block_id: block.block_id,
        action_id: element.action_id,
        value: query,
      }),
  };
  const inBlocks = one.blocks?.length > 0;
  if (wasStreamed(one)) {
    return [
      one.text ? h("div", { class: "rich markdown", key: "text" }, markdown(one.text)) : null,
      inBlocks ? h("div", { class: "blocks", key: "blocks" }, renderBlocks(one.blocks, ctx)) : null,
    ];
  }
  return [
    inBlocks
      ? h("div", { class: "blocks", key: "blocks" }, renderBlocks(one.blocks, ctx))
      : one.text
        ? h("div", { class: "rich message-text", key: "text" }, words(one))
        : null,
    (one.attachments ?? []).map((given, i) => attachment(given, one, ctx, i)),
  ];
}

function threadLink(one, thread) {
  if (!thread?.count) return null;
  const fresh = ui.thread !== one.ts && threadIsUnread(ui.persona, one.channel, one.ts);
  return h(
    "button",
    {
      type: "button",
      class: `thread-link${fresh ? " is-unread" : ""}`,
      "data-testid": "open-thread",
      onclick: () => go({ thread: one.ts }),
    },
    h(
      "span",
      { class: "thread-faces" },
      thread.people.slice(0, 4).map((id) => avatar(id, { size: "tiny" })),
    ),
    h("span", { class: "thread-count" }, thread.count === 1 ? "1 reply" : `${thread.count} replies`),
    h("span", { class: "thread-last" }, `Last reply ${ago(thread.last)}`),
    fresh ? h("span", { class: "thread-new" }, "new") : null,
  );
}

function head(one) {
  const known = user(one.user);
  return h(
    "div",
    { class: "message-head" },
    h("bdi", { class: "message-name" }, one.username || nameOf(one.user)),
    isBot(known) || one.bot_id ? h("span", { class: "badge" }, "App") : null,
    h("time", { class: "message-time", title: exact(one.ts) }, clock(one.ts)),
  );
}

const DELETION = {
  title: "Delete this message?",
  text: "It disappears for everybody.",
  confirm: "Delete",
  deny: "Keep",
  style: "danger",
};

/** The app's message shortcuts, and deleting what one wrote oneself. */
function moreButton(one, where) {
  const items = (store.app.shortcuts ?? [])
    .filter((given) => given.type === "message")
    .map((given) => ({ label: given.name, note: given.description ?? "", value: given.callback_id }));
  if (one.user === ui.persona && one.subtype !== "tombstone")
    items.push({ label: "Delete message", value: " delete", danger: true });
  if (!items.length) return null;
  const key = `more-${where}-${one.channel}-${one.ts}`;
  const pick = async ({ value }) => {
    if (value !== " delete") await shortcut(one, value);
    else if (await ask(DELETION)) await removeMessage(one);
  };
  return h(
    "button",
    {
      type: "button",
      class: "iconbutton",
      "aria-label": "More actions",
      title: "More actions",
      "aria-haspopup": "listbox",
      "aria-expanded": String(isOpen(key)),
      "data-menu": key,
      "data-testid": "more",
      onclick: () => openMenu(key, { label: "More actions", items, pick }),
    },
    icon("more"),
  );
}

function draw(one, { where, grouped, thread }) {
  const surface = messageSurface(one, where);
  const streaming = isStreaming(one);
  const warning = warningFor(one, ui.persona);
  return h(
    "article",
    {
      class: `message${grouped ? " is-grouped" : ""}${one.ephemeral_to ? " is-ephemeral" : ""}${streaming ? " is-streaming" : ""}`,
      key: one.ts,
      "data-testid": "message",
      "data-ts": one.ts,
      "data-channel": one.channel,
      "data-user": one.user,
      "data-thread-ts": one.thread_ts ?? null,
      tabindex: "-1",
      "aria-label": `${one.username || nameOf(one.user)}, ${clock(one.ts)}`,
    },
    h(
      "div",
      { class: "message-gutter" },
      grouped
        ? h("time", { class: "message-time", title: exact(one.ts) }, shortClock(one.ts))
        : avatar(one.user, { name: one.username }),
    ),
    h(
      "div",
      { class: "message-main" },
      grouped ? null : head(one),
      one.ephemeral_to
        ? h(
            "div",
            { class: "only-you", "data-testid": "only-you" },
            icon("eye"),
            "Only visible to you",
            h(
              "button",
              { type: "button", class: "linkbutton", "data-testid": "dismiss", onclick: () => removeMessage(one) },
              "Dismiss",
            ),
          )
        : null,
      one.subtype === "thread_broadcast" && where !== "thread"
        ? h(
            "button",
            { type: "button", class: "linkbutton", onclick: () => go({ thread: one.thread_ts }) },
            "Replied in a thread",
          )
        : null,
      h("div", { class: "message-content" }, content(one, surface)),
      warning
        ? h(
            "div",
            { class: "warning", role: "note", "data-testid": "warning" },
            icon("warning"),
            h("bdi", null, warning.text),
          )
        : null,
      filesOf(one, surface),
      reactionRow(one, where),
      where === "thread" ? null : threadLink(one, thread),
    ),
    one.ephemeral_to
      ? null
      : h(
          "div",
          { class: "message-tools", role: "toolbar", "aria-label": "Message" },
          reactButton(one, where),
          where === "thread"
            ? null
            : h(
                "button",
                {
                  type: "button",
                  class: "iconbutton",
                  "aria-label": "Reply in thread",
                  title: "Reply in thread",
                  "data-testid": "reply-in-thread",
                  onclick: () => go({ thread: one.thread_ts || one.ts }),
                },
                icon("reply"),
              ),
          moreButton(one, where),
        ),
  );
}

/** A message as it stands in `where` ("main" or "thread"). Drawn again only when something about it changed. */
export function messageNode(one, { where, grouped = false, thread = null }) {
  const surface = messageSurface(one, where);
  const open = ui.menu?.key.includes(one.ts) ? ui.menu.key : null;
  const streaming = isStreaming(one);
  const threadKey = thread?.count
    ? `${thread.count}:${thread.last}:${ago(thread.last)}:${ui.thread !== one.ts && threadIsUnread(ui.persona, one.channel, one.ts)}`
    : "";
  return memo.get(
    `${where}:${one.channel}:${one.ts}`,
    [
      one,
      ui.persona,
      grouped,
      threadKey,
      revision(surface),
      store.directory,
      open,
      streaming,
      warningFor(one, ui.persona),
    ],
    () => draw(one, { where, grouped, thread }),
  );
}

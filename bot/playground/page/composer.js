// The box one writes in: text, mentions, files, commands. What could not be sent stays in the box, with the reason.

import { command, say } from "./act.js";
import { completions } from "./complete.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { toSent } from "./outgoing.js";
import { theBot } from "./state.js";
import { fileSize } from "./time.js";
import { LARGEST_BYTES, encoded, filesIn } from "./upload.js";
import { afterDraw, refresh, ui } from "./ui.js";

const TALLEST_PX = 240;

function draftOf(channelId, thread) {
  const key = `${ui.persona}:${channelId}:${thread ?? ""}`;
  if (!ui.drafts.has(key))
    ui.drafts.set(key, {
      key,
      channel: channelId,
      thread,
      text: "",
      files: [],
      error: null,
      sending: false,
      offer: null,
    });
  return ui.drafts.get(key);
}

/** Put files beside the text; too large ones are refused here, before anything is read. */
export function attach(channelId, thread, files) {
  const draft = draftOf(channelId, thread);
  draft.error = null;
  for (const file of files) {
    if (file.size > LARGEST_BYTES)
      draft.error = `${file.name} has ${fileSize(file.size)}; the most one file may have here is ${fileSize(LARGEST_BYTES)}.`;
    else draft.files = [...draft.files, file];
  }
  refresh();
  afterDraw(() => inputOf(draft)?.focus());
}

const inputOf = (draft) => document.querySelector(`[data-draft="${CSS.escape(draft.key)}"]`);

function fit(el) {
  el.style.height = "auto";
  el.style.height = `${Math.min(el.scrollHeight, TALLEST_PX)}px`;
}

async function send(draft) {
  const typed = draft.text.trim();
  if (draft.sending || (!typed && !draft.files.length)) return;
  const isCommand = /^\/[a-z]/i.test(typed);
  if (isCommand && draft.thread) {
    draft.error = `Commands like ${typed.split(/\s/, 1)[0]} do not work inside threads. Mention @${theBot()?.name ?? "the app"} here, or use the command in the channel.`;
    refresh();
    return;
  }
  if (isCommand && draft.files.length) {
    draft.error = "A command cannot carry files. Remove them, or send them with a message.";
    refresh();
    return;
  }
  draft.sending = true;
  draft.error = null;
  draft.offer = null;
  refresh();
  try {
    if (isCommand) {
      const [name] = typed.split(/\s/, 1);
      await command(draft.channel, name, toSent(typed.slice(name.length).trim(), ui.persona));
    } else {
      const files = (await Promise.all(draft.files.map(encoded))).map(({ name, content_base64 }) => ({
        name,
        content_base64,
      }));
      await say({
        channel: draft.channel,
        text: toSent(typed, ui.persona),
        ...(draft.thread ? { thread_ts: draft.thread } : {}),
        ...(files.length ? { files } : {}),
      });
    }
    draft.text = "";
    draft.files = [];
  } catch (error) {
    draft.error = error.message;
  } finally {
    draft.sending = false;
    refresh();
    afterDraw(() => inputOf(draft)?.focus());
  }
}

function look(draft, el) {
  const found = completions(el.value, el.selectionStart, { commands: !draft.thread });
  draft.offer = found && { ...found, active: 0 };
}

function take(draft, item) {
  const el = inputOf(draft);
  const after = draft.text.slice(el.selectionStart).replace(/^ /, "");
  const before = `${draft.text.slice(0, draft.offer.from)}${item.insert} `;
  draft.text = before + after;
  draft.offer = null;
  el.value = draft.text;
  el.focus();
  el.setSelectionRange(before.length, before.length);
  refresh();
}

function onKey(draft, event) {
  const { offer } = draft;
  if (event.isComposing) return;
  if (offer) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) offer.active = (offer.active + step + offer.items.length) % offer.items.length;
    else if (event.key === "Enter" || event.key === "Tab") take(draft, offer.items[offer.active]);
    else if (event.key === "Escape") draft.offer = null;
    else return;
    event.preventDefault();
    event.stopPropagation();
    refresh();
    return;
  }
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    send(draft);
  }
}

function offerList(draft) {
  const { offer } = draft;
  if (!offer) return null;
  return h(
    "ul",
    {
      class: "offer",
      role: "listbox",
      "aria-label": "Suggestions",
      id: `offer-${draft.thread ?? "main"}`,
      "data-testid": "completions",
    },
    offer.items.map((item, i) =>
      h(
        "li",
        {
          key: item.insert,
          class: `offer-item${i === offer.active ? " is-active" : ""}`,
          role: "option",
          id: `offer-${draft.thread ?? "main"}-${i}`,
          "aria-selected": String(i === offer.active),
          onmousedown: (event) => event.preventDefault(),
          onclick: () => take(draft, item),
        },
        item.lead ?? null,
        h("bdi", { class: "menu-label" }, item.face ?? item.label),
        item.note ? h("span", { class: "menu-note" }, item.note) : null,
      ),
    ),
  );
}

function chips(draft) {
  if (!draft.files.length) return null;
  return h(
    "div",
    { class: "chips composer-chips" },
    draft.files.map((file, i) =>
      h(
        "span",
        { class: "chip", key: `${file.name}-${i}`, "data-testid": "attached" },
        icon("file"),
        h("bdi", null, file.name),
        h("span", { class: "chip-note" }, fileSize(file.size)),
        h(
          "button",
          {
            type: "button",
            class: "chip-remove",
            "aria-label": `Remove ${file.name}`,
            onclick: () => {
              draft.files = draft.files.filter((other) => other !== file);
              refresh();
            },
          },
          icon("close"),
        ),
      ),
    ),
  );
}

function placeholder(channel, thread) {
  if (thread) return "Reply…";
  return channel.is_im ? `Message ${theBot()?.real_name ?? theBot()?.name ?? "the app"}` : `Message #${channel.name}`;
}

/** The composer of a channel, or of a thread in it. */
export function composer(channel, thread = null) {
  const draft = draftOf(channel.id, thread);
  if (channel.is_archived)
    return h(
      "div",
      { class: "composer is-closed", key: draft.key },
      "This channel is archived. Nothing can be written here.",
    );
  const offerId = `offer-${thread ?? "main"}`;
  return h(
    "div",
    { class: "composer", key: `composer-${draft.key}`, "data-testid": thread ? "thread-composer" : "composer" },
    draft.error
      ? h(
          "div",
          { class: "composer-error", role: "alert", "data-testid": "composer-error" },
          icon("warning"),
          h("bdi", null, draft.error),
          h(
            "button",
            {
              type: "button",
              class: "iconbutton",
              "aria-label": "Dismiss",
              onclick: () => {
                draft.error = null;
                refresh();
              },
            },
            icon("close"),
          ),
        )
      : null,
    offerList(draft),
    h(
      "div",
      { class: `composer-box${draft.sending ? " is-sending" : ""}` },
      chips(draft),
      h("textarea", {
        class: "composer-input",
        rows: 1,
        dir: "auto",
        value: draft.text,
        readonly: draft.sending,
        placeholder: placeholder(channel, thread),
        "aria-label": placeholder(channel, thread),
        "data-draft": draft.key,
        "data-testid": thread ? "thread-input" : "message-input",
        role: "combobox",
        "aria-expanded": String(Boolean(draft.offer)),
        "aria-controls": offerId,
        "aria-activedescendant": draft.offer ? `${offerId}-${draft.offer.active}` : null,
        "aria-autocomplete": "list",
        enterkeyhint: "send",
        created: (el) =>
          requestAnimationFrame(() => {
            fit(el);
            if (matchMedia("(pointer: fine)").matches && !ui.menu && !document.querySelector(".overlay"))
              el.focus({ preventScroll: true });
          }),
        updated: fit,
        oninput: (event) => {
          draft.text = event.target.value;
          draft.error = null;
          look(draft, event.target);
          refresh();
        },
        onclick: (event) => {
          look(draft, event.target);
          refresh();
        },
        onblur: () => {
          draft.offer = null;
          refresh();
        },
        onkeydown: (event) => onKey(draft, event),
        onpaste: (event) => {
          const files = filesIn(event.clipboardData);
          if (!files.length) return;
          event.preventDefault();
          attach(channel.id, thread, files);
        },
      }),
      h(
        "div",
        { class: "composer-tools" },
        h(
          "label",
          { class: "iconbutton", title: "Attach files" },
          icon("clip"),
          h("span", { class: "visually-hidden" }, "Attach files"),
          h("input", {
            type: "file",
            multiple: true,
            class: "visually-hidden",
            "data-testid": thread ? "thread-file" : "file-input",
            onchange: (event) => {
              attach(channel.id, thread, [...event.target.files]);
              event.target.value = "";
            },
          }),
        ),
        h(
          "span",
          { class: "composer-hint" },
          h("kbd", null, "Enter"),
          " sends · ",
          h("kbd", null, "Shift"),
          "+",
          h("kbd", null, "Enter"),
          " new line",
        ),
        h(
          "button",
          {
            type: "button",
            class: "sendbutton",
            "aria-label": "Send",
            title: "Send",
            "data-testid": thread ? "thread-send" : "send",
            disabled: draft.sending || (!draft.text.trim() && !draft.files.length),
            onclick: () => send(draft),
          },
          icon("send"),
        ),
      ),
    ),
  );
}

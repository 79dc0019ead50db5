// Slack's mrkdwn, read into descriptions of elements. Text never becomes markup on the way.
//
// A string arrives with `&`, `<` and `>` escaped, and with `<...>` around what is special: links, people, channels,
// dates. Each pass over the text moves forward only, so a hostile string costs no more than its length.

import { h } from "./dom.js";
import { emoji } from "./emoji.js";
import { glyph } from "./glyphs.js";
import { anchor } from "./links.js";
import { channel, nameOf, store } from "./state.js";
import { formatDate } from "./time.js";

const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">" };

/** `&lt;` to `<` and its two siblings; nothing else is an entity in Slack. */
export const unescape = (text) => text.replace(/&(?:amp|lt|gt);/g, (entity) => ENTITIES[entity]);

/** An emoji by short name, drawn by the page or with the system's own font; unknown names stay as typed. */
export function emojiSpan(name) {
  const character = emoji(name);
  if (!character) return h("span", { class: "emoji-unknown" }, `:${name}:`);
  return h(
    "span",
    { class: "emoji", role: "img", "aria-label": name.replaceAll("_", " "), title: `:${name}:` },
    glyph(name.split("::")[0]) ?? character,
  );
}

/** `:short_name:` inside plain text, as `plain_text` objects have it. */
export function withEmoji(text) {
  return String(text)
    .split(/(:[a-z0-9_+'-]+(?:::skin-tone-\d)?:)/)
    .map((part, i) => (i % 2 ? emojiSpan(part.slice(1, -1)) : part));
}

export function mentionOf(id, style = "") {
  return h("span", { class: `mention ${style}`, "data-user": id }, h("bdi", null, `@${nameOf(id)}`));
}

export function channelLink(id, label) {
  const known = channel(id);
  if (!known) return h("span", { class: "mention" }, h("bdi", null, `#${label || id}`));
  return h(
    "a",
    { class: "mention", href: `#channel=${id}`, "data-place": JSON.stringify({ channel: id }) },
    h("bdi", null, `#${known.name}`),
  );
}

export const broadcast = (range) => h("span", { class: "mention mention-all" }, `@${range}`);

function control(inner, me) {
  const bar = inner.indexOf("|");
  const target = bar < 0 ? inner : inner.slice(0, bar);
  const label = bar < 0 ? "" : unescape(inner.slice(bar + 1));
  if (target.startsWith("@")) {
    const id = target.slice(1);
    return store.users.has(id) || !label
      ? mentionOf(id, id === me ? "mention-me" : "")
      : h("span", { class: "mention" }, h("bdi", null, `@${label}`));
  }
  if (target.startsWith("#")) return channelLink(target.slice(1), label);
  if (target.startsWith("!date^")) {
    const [, seconds, format, url] = target.split("^");
    const shown = h("time", { title: label }, formatDate(seconds, unescape(format ?? "{date}"), label));
    return url ? anchor(unescape(url), shown) : shown;
  }
  if (target.startsWith("!subteam^"))
    return h("span", { class: "mention" }, h("bdi", null, label || `@${target.slice(9)}`));
  if (target.startsWith("!")) return broadcast(target.slice(1));
  const url = unescape(target);
  // Not something Slack would have made: shown as the app wrote it.
  if (!/^(?:https?:\/\/|mailto:)/i.test(url))
    return label && /^[a-z][a-z0-9+.-]*:/i.test(url) ? anchor(url, h("bdi", null, label)) : `<${unescape(inner)}>`;
  return anchor(url, h("bdi", null, label || url.replace(/^mailto:/, "")));
}

const WORD = /[\p{L}\p{N}]/u;
const STYLES = { "*": "strong", _: "em", "~": "s" };
const EMOJI_AT = /:([a-z0-9_+'-]+(?:::skin-tone-\d)?):/y;
const URL_AT = /https?:\/\/[^\s<>|]+/y;
const opensAfter = (char) => char === undefined || !WORD.test(char);

/** Where a style that opened at `from` closes, or -1. Skips code and `<...>`, which styles do not look into. */
function closing(text, marker, from) {
  for (let i = from + 1; i < text.length; i += 1) {
    const char = text[i];
    if (char === "\n") return -1;
    if (char === "<") {
      const end = text.indexOf(">", i);
      if (end > 0) i = end;
    } else if (char === "`") {
      const end = text.indexOf("`", i + 1);
      if (end > 0) i = end;
    } else if (char === marker && i > from + 1 && !/\s/.test(text[i - 1]) && opensAfter(text[i + 1])) {
      return i;
    }
  }
  return -1;
}

/** One run of text without code fences or quotes. */
export function inline(text, me, active = "") {
  const out = [];
  let plain = "";
  const hopeless = new Map(); // marker -> no closing before this position, so no use looking again
  const flush = () => {
    if (plain) out.push(unescape(plain));
    plain = "";
  };
  let i = 0;
  while (i < text.length) {
    const char = text[i];
    if (char === "\n") {
      flush();
      out.push(h("br"));
      i += 1;
      continue;
    }
    if (char === "`") {
      const end = text.indexOf("`", i + 1);
      const line = text.indexOf("\n", i + 1);
      if (end > i + 1 && (line < 0 || end < line)) {
        flush();
        out.push(h("code", null, bare(text.slice(i + 1, end))));
        i = end + 1;
        continue;
      }
    } else if (char === "<") {
      const end = text.indexOf(">", i);
      if (end > i + 1) {
        flush();
        out.push(control(text.slice(i + 1, end), me));
        i = end + 1;
        continue;
      }
    } else if (char in STYLES && !active.includes(char) && opensAfter(text[i - 1]) && i >= (hopeless.get(char) ?? 0)) {
      const end = /\S/.test(text[i + 1] ?? " ") ? closing(text, char, i) : -1;
      if (end > 0) {
        flush();
        out.push(h(STYLES[char], null, inline(text.slice(i + 1, end), me, active + char)));
        i = end + 1;
        continue;
      }
      const line = text.indexOf("\n", i);
      if (/\S/.test(text[i + 1] ?? " ")) hopeless.set(char, line < 0 ? text.length : line);
    } else if (char === ":") {
      EMOJI_AT.lastIndex = i;
      const found = EMOJI_AT.exec(text);
      if (found) {
        flush();
        out.push(emojiSpan(found[1]));
        i += found[0].length;
        continue;
      }
    } else if (char === "h" && opensAfter(text[i - 1])) {
      URL_AT.lastIndex = i;
      const found = URL_AT.exec(text)?.[0].replace(/[.,;:!?)\]'"*_~]+$/, "");
      if (found && found.length > 8) {
        flush();
        out.push(anchor(unescape(found), h("bdi", null, unescape(found))));
        i += found.length;
        continue;
      }
    }
    plain += char;
    i += 1;
  }
  flush();
  return out;
}

/** Code shows links by their label and everything else as written. */
function bare(text) {
  return unescape(text.replace(/<(https?:[^|>]*|mailto:[^|>]*)(?:\|([^>]*))?>/g, (_, url, label) => label || url));
}

function paragraphs(text, me) {
  const out = [];
  let run = [];
  let quoted = false;
  const flush = () => {
    const body = run.join("\n");
    if (quoted) out.push(h("blockquote", { dir: "auto" }, inline(body, me)));
    else if (body.trim() !== "" || run.length > 1)
      out.push(h("p", { dir: "auto" }, inline(body.replace(/^\n+|\n+$/g, ""), me)));
    run = [];
  };
  for (const line of text.split("\n")) {
    const mark = /^(?:&gt;|>) ?/.exec(line);
    if (Boolean(mark) !== quoted && run.length) flush();
    quoted = Boolean(mark);
    run.push(mark ? line.slice(mark[0].length) : line);
  }
  if (run.length) flush();
  return out;
}

/** A whole mrkdwn text: paragraphs, quotes and code boxes. `me` is the persona, whose own mentions stand out. */
export function mrkdwn(text, me) {
  const out = [];
  const parts = String(text ?? "").split("```");
  parts.forEach((part, i) => {
    const fence = i % 2 === 1 && i < parts.length - 1;
    if (fence) out.push(h("pre", { tabindex: "0" }, h("code", null, bare(part.replace(/^\n/, "").replace(/\n$/, "")))));
    else if (i % 2 === 1) out.push(...paragraphs("```" + part, me));
    else if (part.trim()) out.push(...paragraphs(part, me));
  });
  return out;
}

/** A text object of Block Kit: `plain_text` or `mrkdwn`. */
export function textObject(object, me) {
  if (!object) return null;
  if (typeof object === "string") return withEmoji(object);
  if (object.type === "mrkdwn") return mrkdwn(object.text, me);
  const text = object.emoji === false ? object.text : withEmoji(object.text ?? "");
  return h("bdi", { class: "plain" }, text);
}

/** The same on one line, for labels, options and names. */
export function textLine(object, me) {
  if (!object) return null;
  if (typeof object === "string") return h("bdi", null, withEmoji(object));
  return h("bdi", null, object.type === "mrkdwn" ? inline(object.text ?? "", me) : withEmoji(object.text ?? ""));
}

/** Text of an object without any element, for labels of controls. */
export const textOf = (object) => (typeof object === "string" ? object : (object?.text ?? ""));

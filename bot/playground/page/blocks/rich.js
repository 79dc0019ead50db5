// The rich_text block: sections, lists, quotes and preformatted text, as people's own messages and tasks have them.

import { h } from "../dom.js";
import { anchor } from "../links.js";
import { broadcast, channelLink, emojiSpan, mentionOf } from "../mrkdwn.js";
import { formatDate } from "../time.js";

const STYLES = [
  ["code", "code"],
  ["bold", "strong"],
  ["italic", "em"],
  ["strike", "s"],
  ["underline", "u"],
];

function styled(node, style) {
  let out = node;
  for (const [name, tag] of STYLES) if (style?.[name]) out = h(tag, null, out);
  return out;
}

/** Text with its line breaks kept. */
const lines = (text) =>
  String(text ?? "")
    .split("\n")
    .flatMap((line, i) => (i ? [h("br"), line] : [line]));

const INLINE = {
  text: (e) => lines(e.text),
  link: (e) => anchor(e.url, h("bdi", null, e.text || e.url)),
  emoji: (e) => emojiSpan(e.name),
  user: (e, me) => mentionOf(e.user_id, e.user_id === me ? "mention-me" : ""),
  channel: (e) => channelLink(e.channel_id),
  broadcast: (e) => broadcast(e.range),
  usergroup: (e) => h("span", { class: "mention" }, h("bdi", null, `@${e.usergroup_id}`)),
  team: (e) => h("span", { class: "mention" }, h("bdi", null, e.team_id)),
  color: (e) => h("code", null, String(e.value)),
  date: (e) => {
    const shown = h("time", { title: e.fallback }, formatDate(e.timestamp, e.format ?? "{date}", e.fallback));
    return e.url ? anchor(e.url, shown) : shown;
  },
};

function inline(elements, me) {
  return (elements ?? []).map((one) => {
    const draw = Object.hasOwn(INLINE, one.type) ? INLINE[one.type] : () => h("code", null, `[${one.type}]`);
    return styled(draw(one, me), one.style);
  });
}

/** Plain text inside code boxes: links and names as words. */
const words = (elements) =>
  (elements ?? []).map((one) => one.text ?? one.url ?? (one.name ? `:${one.name}:` : "")).join("");

function list(items, me) {
  // Slack writes nested lists as a flat row of lists with an indent; a deeper one belongs to the last item before it.
  const root = { indent: -1, kids: [] };
  const stack = [root];
  for (const item of items) {
    const indent = item.indent ?? 0;
    while (stack.length > 1 && stack.at(-1).indent > indent) stack.pop();
    if (stack.at(-1).indent === indent && stack.at(-1).style !== item.style && stack.length > 1) stack.pop();
    if (stack.at(-1).indent < indent || stack.length === 1) {
      const level = { indent, style: item.style, offset: item.offset, kids: [] };
      stack.at(-1).kids.push(level);
      stack.push(level);
    }
    for (const section of item.elements ?? []) stack.at(-1).kids.push({ section });
  }
  return root.kids.map((level) => drawLevel(level, me));
}

function drawLevel(level, me) {
  const items = [];
  for (const kid of level.kids) {
    if (kid.section) items.push([inline(kid.section.elements, me)]);
    else if (items.length) items.at(-1).push(drawLevel(kid, me));
    else items.push([drawLevel(kid, me)]);
  }
  const ordered = level.style === "ordered";
  return h(
    ordered ? "ol" : "ul",
    { class: `indent-${Math.min(level.indent, 8)}`, start: ordered && level.offset ? level.offset + 1 : null },
    items.map((item) => h("li", { dir: "auto" }, item)),
  );
}

/** A rich_text block (or any object with such `elements`) as a list of elements. */
export function richText(block, me) {
  const out = [];
  const parts = block?.elements ?? [];
  for (let i = 0; i < parts.length; i += 1) {
    const part = parts[i];
    if (part.type === "rich_text_list") {
      const run = [];
      while (parts[i]?.type === "rich_text_list") run.push(parts[i++]);
      i -= 1;
      out.push(...list(run, me));
    } else if (part.type === "rich_text_preformatted") {
      out.push(h("pre", { tabindex: "0" }, h("code", null, words(part.elements))));
    } else if (part.type === "rich_text_quote") {
      out.push(h("blockquote", { dir: "auto" }, inline(part.elements, me)));
    } else {
      // Sections that follow one another share a row, as in Slack, unless the earlier one ends in a line break.
      const run = [];
      while (parts[i]?.type === "rich_text_section") run.push(...(parts[i++].elements ?? []));
      if (run.length) i -= 1;
      out.push(h("p", { dir: "auto" }, run.length ? inline(run, me) : inline(part.elements, me)));
    }
  }
  return out;
}

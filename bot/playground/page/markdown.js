// Standard Markdown, as the `markdown` block and streamed answers have it. Builds descriptions, never markup.

import { h } from "./dom.js";
import { emojiSpan } from "./mrkdwn.js";
import { anchor } from "./links.js";

const INLINE = new RegExp(
  [
    "(`+)(?<code>.+?)\\1(?!`)",
    "\\*\\*(?<strong>\\S(?:.*?\\S)?)\\*\\*",
    "__(?<strong2>\\S(?:.*?\\S)?)__",
    "~~(?<del>\\S(?:.*?\\S)?)~~",
    "\\*(?<em>[^\\s*](?:[^*]*[^\\s*])?)\\*",
    "(?<![\\p{L}\\p{N}])_(?<em2>[^\\s_](?:[^_]*[^\\s_])?)_(?![\\p{L}\\p{N}])",
    '!?\\[(?<label>[^\\]\\n]*)\\]\\((?<url>[^\\s)]+)(?: +"[^"]*")?\\)',
    "<(?<auto>https?://[^\\s>]+)>",
    "(?<bare>https?://[^\\s<>)\\]]+[^\\s<>)\\].,;:!?'\"])",
    ":(?<emoji>[a-z0-9_+-]+):",
    "\\\\(?<escaped>[!-/:-@\\[-`{-~])",
  ].join("|"),
  "u",
);
// Beyond this a line is shown as written: the pattern above may look at a line more than once.
const LONGEST_LINE = 4000;

function inline(text, depth = 0) {
  if (text.length > LONGEST_LINE || depth > 8) return [text];
  const out = [];
  let rest = text;
  while (rest) {
    const found = INLINE.exec(rest);
    if (!found) break;
    if (found.index) out.push(rest.slice(0, found.index));
    out.push(spanOf(found, depth));
    rest = rest.slice(found.index + found[0].length);
  }
  if (rest) out.push(rest);
  return out;
}

function spanOf(found, depth) {
  const g = found.groups;
  if (g.code !== undefined) return h("code", null, g.code);
  if (g.strong ?? g.strong2) return h("strong", null, inline(g.strong ?? g.strong2, depth + 1));
  if (g.del) return h("s", null, inline(g.del, depth + 1));
  if (g.em ?? g.em2) return h("em", null, inline(g.em ?? g.em2, depth + 1));
  if (g.url) return anchor(g.url, h("bdi", null, g.label ? inline(g.label, depth + 1) : g.url));
  if (g.auto ?? g.bare) return anchor(g.auto ?? g.bare, h("bdi", null, g.auto ?? g.bare));
  if (g.emoji) return emojiSpan(g.emoji);
  return g.escaped;
}

const cells = (line) =>
  line
    .trim()
    .replace(/^\||\|$/g, "")
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll("\\|", "|"));
const ITEM = /^(\s*)(?:[-*+]|(\d{1,9})[.)])\s+(.*)$/;
const RULE = /^ {0,3}(?:-{3,}|\*{3,}|_{3,})\s*$/;
const STARTS = /^(?:#{1,6} |```|~~~|> ?|\s*(?:[-*+]|\d{1,9}[.)])\s)/;

function alignment(line) {
  return cells(line).map((cell) => (/^:-+:$/.test(cell) ? "center" : /-:$/.test(cell) ? "right" : "left"));
}

function table(lines, at) {
  const head = cells(lines[at]);
  const sides = alignment(lines[at + 1]);
  let end = at + 2;
  while (end < lines.length && lines[end].includes("|")) end += 1;
  const row = (tag, line) =>
    h(
      "tr",
      null,
      head.map((_, i) => h(tag, { class: `align-${sides[i] ?? "left"}` }, inline(cells(line)[i] ?? ""))),
    );
  const node = h(
    "div",
    { class: "tablebox", tabindex: "0" },
    h(
      "table",
      null,
      h("thead", null, row("th", lines[at])),
      h(
        "tbody",
        null,
        lines.slice(at + 2, end).map((line) => row("td", line)),
      ),
    ),
  );
  return [node, end];
}

function list(lines, at, depth = 0) {
  const first = ITEM.exec(lines[at]);
  const indent = first[1].length;
  const ordered = first[2] !== undefined;
  const items = [];
  let i = at;
  while (i < lines.length) {
    const found = ITEM.exec(lines[i]);
    if (!found) {
      if (lines[i].trim() && /^\s{2,}/.test(lines[i]) && items.length) {
        items.at(-1).push(" ", inline(lines[i].trim()));
        i += 1;
        continue;
      }
      break;
    }
    if (found[1].length < indent || (found[1].length === indent && (found[2] !== undefined) !== ordered)) break;
    if (found[1].length > indent + 1 && items.length && depth < 8) {
      const [inner, next] = list(lines, i, depth + 1);
      items.at(-1).push(inner);
      i = next;
      continue;
    }
    const task = /^\[([ xX])\]\s+(.*)$/.exec(found[3]);
    items.push(
      task
        ? [h("input", { type: "checkbox", disabled: true, checked: task[1] !== " " }), " ", inline(task[2])]
        : [inline(found[3])],
    );
    i += 1;
  }
  return [
    h(
      ordered ? "ol" : "ul",
      { start: ordered ? first[2] : undefined },
      items.map((item) => h("li", { dir: "auto" }, item)),
    ),
    i,
  ];
}

/** A Markdown text as a list of elements. Raw HTML in it is shown as the text it is. */
export function markdown(source, depth = 0) {
  const lines = String(source ?? "")
    .replace(/\r\n?/g, "\n")
    .split("\n");
  const out = [];
  let i = 0;
  while (i < lines.length) {
    const line = lines[i];
    const fence = /^ {0,3}(```+|~~~+)\s*(\S*)/.exec(line);
    const heading = /^(#{1,6})\s+(.*?)\s*#*$/.exec(line);
    if (fence) {
      let end = i + 1;
      while (end < lines.length && !lines[end].trim().startsWith(fence[1])) end += 1;
      out.push(h("pre", { tabindex: "0" }, h("code", null, lines.slice(i + 1, end).join("\n"))));
      i = end + 1;
    } else if (!line.trim()) {
      i += 1;
    } else if (heading) {
      out.push(h(`h${Math.min(6, heading[1].length + 2)}`, { dir: "auto" }, inline(heading[2])));
      i += 1;
    } else if (RULE.test(line)) {
      out.push(h("hr"));
      i += 1;
    } else if (/^> ?/.test(line)) {
      const quoted = [];
      while (i < lines.length && /^> ?/.test(lines[i])) quoted.push(lines[i++].replace(/^> ?/, ""));
      out.push(
        h("blockquote", { dir: "auto" }, depth < 6 ? markdown(quoted.join("\n"), depth + 1) : quoted.join("\n")),
      );
    } else if (line.includes("|") && /^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/.test(lines[i + 1] ?? "")) {
      const [node, next] = table(lines, i);
      out.push(node);
      i = next;
    } else if (ITEM.test(line)) {
      const [node, next] = list(lines, i);
      out.push(node);
      i = Math.max(next, i + 1);
    } else {
      const run = [line];
      i += 1;
      while (i < lines.length && lines[i].trim() && !STARTS.test(lines[i])) run.push(lines[i++]);
      out.push(
        h(
          "p",
          { dir: "auto" },
          run.flatMap((part, n) => (n ? [h("br"), ...inline(part)] : inline(part))),
        ),
      );
    }
  }
  return out;
}

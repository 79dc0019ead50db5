// What to offer while a person types: people after `@`, channels after `#`, emoji after `:`, commands after `/`.

import { avatar } from "./avatar.js";
import { EMOJI } from "./emoji.js";
import { emojiSpan } from "./mrkdwn.js";
import { channelsOf, isBot, store } from "./state.js";
import { ui } from "./ui.js";

const AT_CARET = /(^|[\s(])([@#:])([\p{L}\p{N}._+-]*)$/u;
const MOST = 7;

const starts = (text, wanted) =>
  text
    .toLowerCase()
    .split(/[\s._-]+/)
    .some((word) => word.startsWith(wanted)) || text.toLowerCase().startsWith(wanted);

function peopleLike(wanted) {
  const everyone = [
    { insert: "@here", label: "@here", note: "everyone who is here" },
    { insert: "@channel", label: "@channel", note: "everyone in this channel" },
  ];
  const people = [...store.users.values()]
    .sort((a, b) => Number(isBot(b)) - Number(isBot(a)))
    .map((one) => ({
      insert: `@${one.name}`,
      label: one.real_name || one.name,
      note: `@${one.name}`,
      lead: avatar(one.id, { size: "tiny" }),
      id: one.id,
    }));
  return [
    ...people.filter((one) => starts(one.label, wanted) || starts(one.note.slice(1), wanted)),
    ...(wanted ? everyone.filter((one) => starts(one.label.slice(1), wanted)) : []),
  ];
}

const channelsLike = (wanted) =>
  channelsOf(ui.persona)
    .filter((one) => !one.is_im && starts(one.name, wanted))
    .map((one) => ({ insert: `#${one.name}`, label: `#${one.name}`, note: one.topic, id: one.id }));

const emojiLike = (wanted) =>
  wanted.length < 2
    ? []
    : [...EMOJI]
        .filter(([name]) => name.includes(wanted))
        .map(([name]) => ({ insert: `:${name}:`, label: `:${name}:`, lead: emojiSpan(name), id: name }));

function commandsLike(wanted) {
  return (store.commands ?? [])
    .map((one) => (typeof one === "string" ? { command: one } : one))
    .filter((one) => one.command.slice(1).startsWith(wanted))
    .map((one) => ({ insert: one.command, label: one.command, note: one.description ?? "", id: one.command }));
}

/** What fits at the caret: `{ from, items }`, or `null`. `from` is where the typed piece begins. */
export function completions(text, caret, { commands }) {
  const before = text.slice(0, caret);
  if (commands && /^\/[a-z_-]*$/.test(before)) {
    const items = commandsLike(before.slice(1)).filter((one) => one.insert !== before);
    return items.length ? { from: 0, items: items.slice(0, MOST) } : null;
  }
  const found = AT_CARET.exec(before);
  if (!found) return null;
  const [, , sign, typed] = found;
  const wanted = typed.toLowerCase();
  const items = sign === "@" ? peopleLike(wanted) : sign === "#" ? channelsLike(wanted) : emojiLike(wanted);
  return items.length ? { from: caret - typed.length - 1, items: items.slice(0, MOST) } : null;
}

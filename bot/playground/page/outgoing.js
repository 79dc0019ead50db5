// A person's typed text on its way out: names become ids, as Slack's own composer makes them.
//
// Escaping and links are the server's part (it does for every caller what Slack's clients do), so text goes out as typed.

import { channelsOf, store } from "./state.js";

const NAME = /(?<![\p{L}\p{N}._@#/-])([@#])([\p{L}\p{N}][\p{L}\p{N}._-]*)/gu;
const EVERYONE = new Set(["here", "channel", "everyone"]);

function token(sign, name, persona) {
  if (sign === "@") {
    if (EVERYONE.has(name)) return `<!${name}>`;
    const person = [...store.users.values()].find((one) => one.name.toLowerCase() === name.toLowerCase());
    return person ? `<@${person.id}>` : null;
  }
  const room = channelsOf(persona).find((one) => !one.is_im && one.name === name.toLowerCase());
  return room ? `<#${room.id}|${room.name}>` : null;
}

/** The token for `@name` or `#name`; a full stop that ends the sentence is not part of the name. */
function called(sign, name, persona) {
  for (let cut = name; cut; cut = cut.slice(0, -1)) {
    const found = token(sign, cut, persona);
    if (found) return found + name.slice(cut.length);
    if (!/[._-]$/.test(cut)) break;
  }
  return `${sign}${name}`;
}

/** Typed text to sent text. Nothing inside backticks is a mention. */
export function toSent(typed, persona) {
  return typed
    .split(/(```[\s\S]*?```|`[^`\n]+`)/)
    .map((part, i) => (i % 2 ? part : part.replace(NAME, (_, sign, name) => called(sign, name, persona))))
    .join("");
}

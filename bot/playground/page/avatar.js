// Initials on a colour that stays the same for the same person.

import { h } from "./dom.js";
import { mark } from "./icons.js";
import { isBot, nameOf, user } from "./state.js";

const HUES = 8;

function hueOf(id) {
  let sum = 7;
  for (const char of String(id)) sum = (sum * 31 + char.codePointAt(0)) % 9973;
  return sum % HUES;
}

function initials(name) {
  const words = name.split(/[\s._-]+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0] ?? "?"];
  return letters.map((word) => [...word][0].toUpperCase()).join("");
}

/** A square with initials; the app has the page's mark instead. `size` is "", "small" or "tiny". */
export function avatar(id, { size = "", name } = {}) {
  const known = user(id);
  if (isBot(known) || (!known && String(id).startsWith("B"))) {
    return h("span", { class: `avatar avatar-app ${size}`, "aria-hidden": "true" }, mark());
  }
  return h("span", { class: `avatar hue-${hueOf(id)} ${size}`, "aria-hidden": "true" }, initials(name ?? nameOf(id)));
}

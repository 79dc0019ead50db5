// Reactions under a message, and the small picker that adds one.

import { react } from "./act.js";
import { h } from "./dom.js";
import { QUICK } from "./emoji.js";
import { icon } from "./icons.js";
import { isOpen, openMenu } from "./menu.js";
import { emojiSpan } from "./mrkdwn.js";
import { nameOf } from "./state.js";
import { ui } from "./ui.js";

const tiles = () => QUICK.map((name) => ({ label: name, face: emojiSpan(name), value: name }));

const isMine = (one, name) => Boolean(one.reactions?.find((given) => given.name === name)?.users?.includes(ui.persona));
const toggleReaction = (one, name) => react(one, name, isMine(one, name));

/** A button that opens the picker for a message. */
export function reactButton(one, where, className = "iconbutton") {
  const key = `react-${where}-${one.channel}-${one.ts}`;
  return h(
    "button",
    {
      type: "button",
      class: className,
      "aria-label": "Add a reaction",
      title: "Add a reaction",
      "aria-haspopup": "listbox",
      "aria-expanded": String(isOpen(key)),
      "data-menu": key,
      "data-testid": "add-reaction",
      onclick: () =>
        openMenu(key, {
          label: "Reactions",
          grid: true,
          items: tiles(),
          pick: (item) => toggleReaction(one, item.value),
        }),
    },
    icon("smile"),
  );
}

/** The row of reactions; a click adds one's own, or takes it back. */
export function reactionRow(one, where) {
  if (!one.reactions?.length) return null;
  return h(
    "div",
    { class: "reactions" },
    one.reactions.map((given) => {
      const mine = isMine(one, given.name);
      const names = (given.users ?? []).map(nameOf).join(", ");
      const count = given.count ?? given.users?.length ?? 0;
      return h(
        "button",
        {
          key: given.name,
          type: "button",
          class: `reaction${mine ? " is-mine" : ""}`,
          "data-reaction": given.name,
          "aria-pressed": String(mine),
          "aria-label": `${given.name.replaceAll("_", " ")}, ${count}: ${names}`,
          title: `${names} with :${given.name}:`,
          onclick: () => toggleReaction(one, given.name),
        },
        emojiSpan(given.name),
        h("span", { class: "reaction-count" }, count),
      );
    }),
    reactButton(one, `${where}-row`, "reaction reaction-add"),
  );
}

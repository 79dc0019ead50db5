// Who one is: the switcher at the top of the sidebar, and its small twin on a phone.

import { avatar } from "./avatar.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { isOpen, openMenu } from "./menu.js";
import { unread } from "./reading.js";
import { become } from "./route.js";
import { channelsOf, nameOf, personas, user } from "./state.js";
import { ui } from "./ui.js";

/** What a person may do, in words. */
export function rolesOf(one) {
  const roles = one?.roles?.filter((role) => role !== one.name) ?? [];
  const own = one?.roles?.length
    ? [...new Set([...roles, ...one.roles])].join(", ")
    : one?.is_restricted
      ? "guest"
      : "no role";
  return own;
}

function waiting(id) {
  const calls = channelsOf(id).reduce((sum, channel) => sum + unread(id, channel).calls, 0);
  return calls ? ` · ${calls} waiting` : "";
}

const items = () =>
  personas().map((one) => ({
    label: nameOf(one.id),
    words: one.name,
    note: `@${one.name} · ${rolesOf(one)}${one.id === ui.persona ? "" : waiting(one.id)}`,
    value: one.id,
    lead: avatar(one.id, { size: "small" }),
    selected: one.id === ui.persona,
  }));

const open = (key) => openMenu(key, { label: "Act as", items: items(), pick: (item) => become(item.value) });

export function personaSwitch() {
  const me = user(ui.persona);
  return h(
    "button",
    {
      type: "button",
      class: "persona",
      "data-menu": "persona",
      "data-testid": "persona",
      "data-user": ui.persona,
      "aria-haspopup": "listbox",
      "aria-expanded": String(isOpen("persona")),
      onclick: () => open("persona"),
    },
    avatar(ui.persona, {}),
    h(
      "span",
      { class: "persona-text" },
      h("span", { class: "persona-you" }, "You are"),
      h("bdi", { class: "persona-name" }, nameOf(ui.persona)),
      h("span", { class: "persona-role" }, `@${me?.name} · ${rolesOf(me)}`),
    ),
    icon("down"),
  );
}

export function personaButton() {
  return h(
    "button",
    {
      type: "button",
      class: "persona-small",
      "data-menu": "persona-small",
      "aria-label": `You are ${nameOf(ui.persona)}. Act as someone else`,
      "aria-haspopup": "listbox",
      "aria-expanded": String(isOpen("persona-small")),
      onclick: () => open("persona-small"),
    },
    avatar(ui.persona, { size: "small" }),
    icon("down"),
  );
}

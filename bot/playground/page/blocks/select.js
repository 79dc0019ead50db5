// Select menus: one or many, from options of the app, from the team's people and channels, or from the app's own search.

import { h } from "../dom.js";
import { fieldValue, setField } from "../forms.js";
import { icon } from "../icons.js";
import { isOpen, openMenu } from "../menu.js";
import { textLine, textOf } from "../mrkdwn.js";
import { channelsOf, nameOf, store } from "../state.js";
import { ui } from "../ui.js";
import { change, nameIn } from "./elements.js";

const FIELDS = {
  static_select: "selected_option",
  external_select: "selected_option",
  users_select: "selected_user",
  channels_select: "selected_channel",
  conversations_select: "selected_conversation",
};

const optionItem = (option, group) => ({
  label: textOf(option.text),
  face: textLine(option.text),
  note: textOf(option.description),
  value: option.value,
  group,
  held: option,
});

function appOptions(element) {
  if (element.option_groups)
    return element.option_groups.flatMap((group) =>
      group.options.map((option) => optionItem(option, textOf(group.label))),
    );
  return (element.options ?? []).map((option) => optionItem(option));
}

const people = () =>
  [...store.users.values()].map((one) => ({
    label: nameOf(one.id),
    note: `@${one.name}`,
    value: one.id,
    held: one.id,
  }));

function rooms(element) {
  const withIms = element.type.includes("conversations");
  return channelsOf(ui.persona)
    .filter((one) => withIms || !one.is_im)
    .map((one) => ({
      label: one.is_im ? `Direct message with ${nameOf(store.app?.bot_user_id ?? one.user)}` : `#${one.name}`,
      value: one.id,
      held: one.id,
    }));
}

function itemsOf(element) {
  if (element.type.includes("users")) return people();
  if (element.type.includes("channels") || element.type.includes("conversations")) return rooms(element);
  return appOptions(element);
}

const idOf = (held) => (typeof held === "object" && held !== null ? held.value : held);

function labelOf(held) {
  if (typeof held === "object" && held !== null) return textLine(held.text);
  const room = store.channels.get(held);
  return h("bdi", null, room ? (room.is_im ? "Direct message" : `#${room.name}`) : nameOf(held));
}

/** Any `..._select` element. */
export function select(element, block, ctx) {
  const many = element.type.startsWith("multi_");
  const field = FIELDS[element.type.replace(/^multi_/, "")] + (many ? "s" : "");
  if (!Object.hasOwn(FIELDS, element.type.replace(/^multi_/, "")))
    throw new Error(`element ${element.type} is unknown`);
  const external = element.type.includes("external");
  const key = nameIn(ctx, block, element);
  const held = () => fieldValue(ctx.surface, block.block_id, element)[field];
  const listed = () => (many ? held() : [held()].filter((one) => one !== null && one !== undefined));
  const report = (next) => (many ? next.map(idOf) : idOf(next));
  const mark = (items) =>
    items.map((item) => ({ ...item, selected: listed().some((one) => idOf(one) === item.value) }));
  const put = (next) => change(ctx, block, element, { [field]: next }, report(next));

  // Many choices are sent together when the list closes, as Slack does; one choice is sent at once.
  const pick = (item) => {
    if (!many) return put(item.held);
    const now = listed();
    const has = now.some((one) => idOf(one) === item.value);
    if (!has && element.max_selected_items && now.length >= element.max_selected_items) return null;
    return put(has ? now.filter((one) => idOf(one) !== item.value) : [...now, item.held]);
  };
  const open = () =>
    openMenu(key, {
      label: textOf(block.label) || textOf(element.placeholder) || "Options",
      search: true,
      many,
      hint: external ? "Type to search" : "Filter",
      ...(external
        ? {
            load: async (query) =>
              (await ctx.suggest(block, element, query)).flatMap((one) =>
                one.options ? one.options.map((option) => optionItem(option, textOf(one.label))) : [optionItem(one)],
              ),
          }
        : { items: () => mark(itemsOf(element)) }),
      pick,
    });
  const chosen = listed();
  return h(
    "div",
    { class: `select${many ? " select-many" : ""}` },
    h(
      "button",
      {
        type: "button",
        class: "select-face",
        "data-menu": key,
        "data-action-id": element.action_id,
        "aria-haspopup": "listbox",
        "aria-expanded": String(isOpen(key)),
        "aria-label": [textOf(block.label) || textOf(element.placeholder) || "Choose"].join(""),
        onclick: open,
      },
      h(
        "span",
        { class: chosen.length ? "select-value" : "select-value is-empty" },
        chosen.length && !many
          ? labelOf(chosen[0])
          : chosen.length
            ? `${chosen.length} chosen`
            : textOf(element.placeholder) || "Choose",
      ),
      icon("down"),
    ),
    many && chosen.length
      ? h(
          "div",
          { class: "chips" },
          chosen.map((one) =>
            h(
              "span",
              { class: "chip", key: idOf(one) },
              labelOf(one),
              h(
                "button",
                {
                  type: "button",
                  class: "chip-remove",
                  "aria-label": "Remove",
                  onclick: () => put(chosen.filter((other) => idOf(other) !== idOf(one))),
                },
                icon("close"),
              ),
            ),
          ),
        )
      : null,
    !many && chosen.length && block.optional
      ? h(
          "button",
          {
            type: "button",
            class: "linkbutton",
            onclick: () => setField(ctx.surface, block.block_id, element, { [field]: null }),
          },
          "Clear",
        )
      : null,
  );
}

// Interactive elements: buttons, menus and inputs. What a person does goes out through `ctx.send`.

import { ask } from "../confirm.js";
import { h } from "../dom.js";
import { fieldValue, hasValue, setField } from "../forms.js";
import { icon } from "../icons.js";
import { isOpen, openMenu } from "../menu.js";
import { textLine, textOf, textObject } from "../mrkdwn.js";
import { safeUrl } from "../links.js";
import { touch } from "../ui.js";
import { textInput } from "./input.js";
import { fileInput } from "./file_input.js";
import { imageElement } from "./media.js";
import { select } from "./select.js";

const busy = new Set();

/** The name of an element on this page, for menus and for the spinner. */
export const nameIn = (ctx, block, element) => `${ctx.surface}|${block.block_id}|${element.action_id}`;

/** Ask the confirm question if there is one, then send; the control is marked busy until the server answers. */
export async function dispatch(ctx, block, element, value) {
  if (element.confirm && !(await ask(element.confirm))) return false;
  const name = `${nameIn(ctx, block, element)}|${value ?? ""}`;
  if (busy.has(name)) return false;
  busy.add(name);
  touch(ctx.surface);
  try {
    await ctx.send(block, element, value);
  } finally {
    busy.delete(name);
    touch(ctx.surface);
  }
  return true;
}

/** Selects, pickers and boxes report at once, except inside an input block that waits for the submit button. */
export async function change(ctx, block, element, value, reported) {
  const { type: _, ...before } = fieldValue(ctx.surface, block.block_id, element);
  setField(ctx.surface, block.block_id, element, value);
  if (block.type === "input" && !block.dispatch_action) return;
  if (!(await dispatch(ctx, block, element, reported))) setField(ctx.surface, block.block_id, element, before);
}

function button(element, block, ctx) {
  const style = ["primary", "danger"].includes(element.style) ? element.style : "";
  const name = `${nameIn(ctx, block, element)}|${element.value ?? ""}`;
  const props = {
    class: `button ${style}${busy.has(name) ? " is-busy" : ""}`,
    "data-action-id": element.action_id,
    "data-testid": "action",
    "aria-label": element.accessibility_label,
    "aria-busy": busy.has(name) ? "true" : null,
    onclick: () => dispatch(ctx, block, element, element.value),
  };
  const url = element.url && safeUrl(element.url);
  if (url)
    return h(
      "a",
      { ...props, href: url, target: "_blank", rel: "noopener noreferrer", role: "button" },
      textLine(element.text),
    );
  return h("button", { ...props, type: "button" }, textLine(element.text));
}

function overflow(element, block, ctx) {
  const key = nameIn(ctx, block, element);
  const items = (element.options ?? []).map((option) => ({
    label: textOf(option.text),
    face: textLine(option.text),
    note: textOf(option.description),
    value: option.value,
    option,
  }));
  return h(
    "button",
    {
      type: "button",
      class: "button button-square",
      "aria-label": "More actions",
      "aria-haspopup": "listbox",
      "aria-expanded": String(isOpen(key)),
      "data-menu": key,
      "data-action-id": element.action_id,
      onclick: () =>
        openMenu(key, {
          label: "More actions",
          items,
          pick: ({ option }) => {
            const url = option.url && safeUrl(option.url);
            if (url) window.open(url, "_blank", "noopener");
            dispatch(ctx, block, element, option.value);
          },
        }),
    },
    icon("more"),
  );
}

function choices(element, block, ctx) {
  const many = element.type === "checkboxes";
  const held = fieldValue(ctx.surface, block.block_id, element);
  const chosen = many ? held.selected_options : [held.selected_option].filter(Boolean);
  const picked = (option) => chosen.some((one) => one.value === option.value);
  const group = nameIn(ctx, block, element);
  return h(
    "div",
    {
      class: "choices",
      role: many ? "group" : "radiogroup",
      "data-action-id": element.action_id,
      "aria-label": textOf(block.label) || null,
    },
    (element.options ?? []).map((option) =>
      h(
        "label",
        { class: "choice" },
        h("input", {
          type: many ? "checkbox" : "radio",
          name: group,
          value: option.value,
          checked: picked(option),
          onchange: () => {
            if (!many) return change(ctx, block, element, { selected_option: option }, option.value);
            const next = picked(option) ? chosen.filter((one) => one.value !== option.value) : [...chosen, option];
            return change(
              ctx,
              block,
              element,
              { selected_options: next },
              next.map((one) => one.value),
            );
          },
        }),
        h(
          "span",
          { class: "choice-text" },
          h("span", { class: "rich choice-label" }, textObject(option.text, ctx.me)),
          option.description ? h("span", { class: "rich choice-note" }, textObject(option.description, ctx.me)) : null,
        ),
      ),
    ),
  );
}

const pad = (n) => String(n).padStart(2, "0");

function localStamp(seconds) {
  const d = new Date(seconds * 1000);
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}T${pad(d.getHours())}:${pad(d.getMinutes())}`;
}

const PICKERS = {
  datepicker: { type: "date", field: "selected_date", show: (v) => v, read: (v) => v || null },
  timepicker: { type: "time", field: "selected_time", show: (v) => v, read: (v) => v || null },
  datetimepicker: {
    type: "datetime-local",
    field: "selected_date_time",
    show: localStamp,
    read: (v) => (v ? Math.floor(new Date(v).getTime() / 1000) : null),
  },
};

function picker(element, block, ctx) {
  const { type, field, show, read } = PICKERS[element.type];
  const held = fieldValue(ctx.surface, block.block_id, element)[field];
  return h("input", {
    class: "field-input picker",
    type,
    value: held === null ? "" : show(held),
    "data-action-id": element.action_id,
    "aria-label": textOf(block.label) || textOf(element.placeholder) || "Choose",
    title: textOf(element.placeholder) || null,
    onchange: (event) => change(ctx, block, element, { [field]: read(event.target.value) }, read(event.target.value)),
  });
}

function feedback(element, block, ctx) {
  const one = (half, glyph) => {
    const given = element[half];
    if (!given) return null;
    const label = given.accessibility_label ?? textOf(given.text);
    return h(
      "button",
      {
        type: "button",
        class: "iconbutton",
        title: textOf(given.text),
        "aria-label": label,
        "data-action-id": element.action_id,
        "data-value": given.value,
        onclick: () => dispatch(ctx, block, element, given.value),
      },
      icon(glyph),
    );
  };
  return h("div", { class: "feedback" }, one("positive_button", "up"), one("negative_button", "thumbdown"));
}

function iconButton(element, block, ctx) {
  if (element.visible_to_user_ids?.length && !element.visible_to_user_ids.includes(ctx.me)) return null;
  return h(
    "button",
    {
      type: "button",
      class: "iconbutton",
      title: textOf(element.text),
      "aria-label": element.accessibility_label ?? textOf(element.text),
      "data-action-id": element.action_id,
      onclick: () => dispatch(ctx, block, element, element.value),
    },
    icon(element.icon),
  );
}

function workflowButton(element) {
  return h(
    "button",
    { type: "button", class: "button", disabled: true, title: "Workflows do not run in the playground." },
    textLine(element.text),
  );
}

const OTHERS = {
  button,
  overflow,
  checkboxes: choices,
  radio_buttons: choices,
  feedback_buttons: feedback,
  icon_button: iconButton,
  workflow_button: workflowButton,
  image: (element) => imageElement(element, "accessory-image"),
  file_input: fileInput,
};

/** One element, wherever it stands. */
export function element(one, block, ctx) {
  if (one?.type in PICKERS) return picker(one, block, ctx);
  if (one?.type?.endsWith("_select")) return select(one, block, ctx);
  if (Object.hasOwn(OTHERS, one?.type)) return OTHERS[one.type](one, block, ctx);
  if (hasValue(one)) return textInput(one, block, ctx);
  return h("span", { class: "unknown" }, "Element ", h("code", null, String(one?.type)), " is not shown here.");
}

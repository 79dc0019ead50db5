// Block Kit: one block in, one element out. A block nobody here knows is shown as a placeholder that names it.
//
// `ctx` says where the blocks stand: `{surface, me, scope: "message"|"view"|"home", errors, send(block, element, value)}`.

import { h } from "../dom.js";
import { icon } from "../icons.js";
import { markdown } from "../markdown.js";
import { textLine, textObject } from "../mrkdwn.js";
import { card, carousel, container } from "./cards.js";
import { element } from "./elements.js";
import { inputBlock } from "./input.js";
import { call, fileBlock, imageBlock, imageElement, video } from "./media.js";
import { plan, taskCard } from "./plan.js";
import { richText } from "./rich.js";
import { dataTable, table } from "./table.js";

const LEVELS = { success: "check", error: "warning", warning: "warning", info: "info" };

function section(block, ctx) {
  return h(
    "div",
    { class: `block section${block.accessory ? " has-accessory" : ""}` },
    h(
      "div",
      { class: "section-body" },
      block.text ? h("div", { class: "rich", dir: "auto" }, textObject(block.text, ctx.me)) : null,
      block.fields
        ? h(
            "div",
            { class: "fields" },
            block.fields.map((field) => h("div", { class: "rich field", dir: "auto" }, textObject(field, ctx.me))),
          )
        : null,
    ),
    block.accessory ? h("div", { class: "accessory" }, element(block.accessory, block, ctx)) : null,
  );
}

const context = (block, ctx) =>
  h(
    "div",
    { class: "block context" },
    (block.elements ?? []).map((one) =>
      // The blank lets a line end between two pieces.
      [
        one.type === "image"
          ? imageElement(one, "context-image")
          : h("div", { class: "rich", dir: "auto" }, textObject(one, ctx.me)),
        " ",
      ],
    ),
  );

const actions = (block, ctx) =>
  h(
    "div",
    { class: `block actions${block.type === "context_actions" ? " context-actions" : ""}` },
    (block.elements ?? []).map((one, i) =>
      h("div", { class: "actions-item", key: one.action_id ?? i }, element(one, block, ctx)),
    ),
  );

const alert = (block, ctx) =>
  h(
    "div",
    { class: `block alert alert-${block.level in LEVELS ? block.level : "default"}`, role: "note" },
    icon(LEVELS[block.level] ?? "info"),
    h("div", { class: "rich", dir: "auto" }, textObject(block.text, ctx.me)),
  );

const header = (block, ctx) => h("h3", { class: "block header", dir: "auto" }, textLine(block.text, ctx.me));

function unknown(block, why = "This page cannot show it.") {
  return h(
    "div",
    { class: "block unknown", "data-testid": "unknown-block" },
    icon("info"),
    h("span", null, "Block ", h("code", null, String(block?.type ?? "without a type")), `. ${why}`),
  );
}

const RENDERERS = {
  actions,
  alert,
  call,
  card,
  carousel,
  container: (block, ctx) => container(block, ctx, renderBlocks),
  context,
  context_actions: actions,
  data_table: dataTable,
  divider: () => h("hr", { class: "block divider" }),
  file: fileBlock,
  header,
  image: imageBlock,
  input: inputBlock,
  markdown: (block) => h("div", { class: "block rich markdown" }, markdown(block.text)),
  plan,
  rich_text: (block, ctx) => h("div", { class: "block rich" }, richText(block, ctx.me)),
  section,
  table,
  task_card: taskCard,
  video,
};

function renderBlock(block, ctx, index) {
  let node;
  try {
    node = Object.hasOwn(RENDERERS, block?.type) ? RENDERERS[block.type](block, ctx) : unknown(block);
  } catch (error) {
    // A malformed block of an app under development must not take the conversation down with it.
    node = unknown(block, `It is malformed: ${error.message}.`);
  }
  // Wrapped so that the key and the hooks are the same for every kind of block.
  return h(
    "div",
    {
      class: `block-slot slot-${String(block?.type).replace(/[^a-z_]/g, "")}`,
      key: `${block?.block_id ?? index}:${block?.type}`,
      "data-block-id": block?.block_id,
      "data-block-type": block?.type,
    },
    node,
  );
}

/** All blocks of a message, view or home, in order. */
export function renderBlocks(blocks, ctx) {
  return (blocks ?? []).map((block, index) => renderBlock(block, ctx, index));
}

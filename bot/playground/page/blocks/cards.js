// Blocks that hold others: card, carousel, container.

import { h } from "../dom.js";
import { icon } from "../icons.js";
import { textLine, textObject } from "../mrkdwn.js";
import { toggle, toggled } from "../ui.js";
import { element } from "./elements.js";
import { imageElement } from "./media.js";
import { richText } from "./rich.js";

/** The `card` block. */
export function card(block, ctx) {
  return h(
    "article",
    { class: "block card" },
    block.hero_image ? imageElement(block.hero_image, "card-hero") : null,
    block.title || block.subtitle || block.icon
      ? h(
          "div",
          { class: "card-head" },
          block.icon ? imageElement(block.icon, "card-icon") : null,
          h(
            "div",
            { class: "card-titles" },
            block.title ? h("div", { class: "card-title rich", dir: "auto" }, textObject(block.title, ctx.me)) : null,
            block.subtitle
              ? h("div", { class: "card-subtitle rich", dir: "auto" }, textObject(block.subtitle, ctx.me))
              : null,
          ),
        )
      : null,
    block.body ? h("div", { class: "card-body rich", dir: "auto" }, textObject(block.body, ctx.me)) : null,
    block.actions?.length
      ? h(
          "div",
          { class: "card-actions" },
          block.actions.map((one, i) =>
            h("div", { class: "actions-item", key: one.action_id ?? i }, element(one, block, ctx)),
          ),
        )
      : null,
  );
}

/** The `carousel` block: cards in a row that scrolls sideways. */
export function carousel(block, ctx) {
  return h(
    "div",
    { class: "block carousel", role: "list", tabindex: "0", "aria-label": "Cards" },
    (block.elements ?? []).map((one, i) =>
      h(
        "div",
        { class: "carousel-item", role: "listitem", key: one.block_id ?? i },
        card({ ...one, block_id: one.block_id ?? block.block_id }, ctx),
      ),
    ),
  );
}

const WIDTHS = ["narrow", "standard", "wide", "full"];

/** The `container` block; `renderBlocks` is handed in because containers hold any block. */
export function container(block, ctx, renderBlocks) {
  const name = `${ctx.surface}|${block.block_id}|fold`;
  const folds = Boolean(block.is_collapsible);
  const folded = folds && toggled(name, Boolean(block.default_collapsed));
  const titles = [
    block.icon ? imageElement(block.icon, "card-icon") : null,
    h(
      "span",
      { class: "card-titles" },
      h(
        "span",
        { class: "card-title" },
        block.rich_text_title ? richText(block.rich_text_title, ctx.me) : textLine(block.title, ctx.me),
      ),
      block.subtitle ? h("span", { class: "card-subtitle" }, textLine(block.subtitle, ctx.me)) : null,
    ),
  ];
  const head = folds
    ? h(
        "button",
        {
          type: "button",
          class: "container-head container-fold",
          "aria-expanded": String(!folded),
          onclick: () => toggle(name, ctx.surface, Boolean(block.default_collapsed)),
        },
        titles,
        icon("down", folded ? "" : "turned"),
      )
    : h("div", { class: "container-head" }, titles);
  return h(
    "section",
    {
      class: `block container width-${WIDTHS.includes(block.width) ? block.width : "standard"}${block.has_header_divider && !folded ? " has-rule" : ""}`,
    },
    head,
    folded ? null : h("div", { class: "container-body" }, renderBlocks(block.child_blocks, ctx)),
  );
}

// Input blocks (label, element, hint, error) and the elements one types into.

import { focusSoon, h } from "../dom.js";
import { fieldValue, setField } from "../forms.js";
import { textLine, textOf } from "../mrkdwn.js";
import { dispatch, element, nameIn } from "./elements.js";

const TYPES = { email_text_input: "email", url_text_input: "url", number_input: "number" };

/** A rich_text block's own words, for showing one in a plain box. */
function plainOf(rich) {
  const words = (node) =>
    node.elements
      ? node.elements.map(words).join(node.type === "rich_text" || node.type === "rich_text_list" ? "\n" : "")
      : (node.text ?? node.url ?? "");
  return rich ? words(rich) : "";
}

const richOf = (text) =>
  text ? { type: "rich_text", elements: [{ type: "rich_text_section", elements: [{ type: "text", text }] }] } : null;

/** Plain, e-mail, address, number and rich text inputs. */
export function textInput(one, block, ctx) {
  const rich = one.type === "rich_text_input";
  const held = fieldValue(ctx.surface, block.block_id, one);
  const shown = rich ? plainOf(held.rich_text_value) : (held.value ?? "");
  const tall = rich || one.multiline;
  const on = one.dispatch_action_config?.trigger_actions_on ?? ["on_enter_pressed"];
  const put = (text, quiet) =>
    setField(
      ctx.surface,
      block.block_id,
      one,
      rich ? { rich_text_value: richOf(text) } : { value: text === "" ? null : text },
      { quiet },
    );
  const dispatching = block.type !== "input" || block.dispatch_action;
  const send = (text) => dispatching && dispatch(ctx, block, one, text);
  return h(tall ? "textarea" : "input", {
    class: "field-input",
    id: fieldId(ctx, block, one),
    type: tall ? null : (TYPES[one.type] ?? "text"),
    step: one.type === "number_input" && one.is_decimal_allowed ? "any" : null,
    inputmode: one.type === "number_input" ? "decimal" : null,
    rows: tall ? (one.min_lines ?? 4) : null,
    dir: "auto",
    placeholder: textOf(one.placeholder) || null,
    maxlength: one.type === "plain_text_input" && one.max_length ? one.max_length : null,
    value: shown,
    autocomplete: "off",
    "data-action-id": one.action_id,
    "aria-label": textOf(block.label) || textOf(one.placeholder) || one.action_id,
    "aria-invalid": ctx.errors?.[block.block_id] ? "true" : null,
    created: (el) => focusSoon(() => (one.focus_on_load ? el : null)),
    oninput: (event) => {
      put(event.target.value, !ctx.errors?.[block.block_id]);
      ctx.edited?.(block);
      if (on.includes("on_character_entered")) send(event.target.value);
    },
    onkeydown: (event) => {
      if (event.key !== "Enter" || event.isComposing || (tall && !event.ctrlKey && !event.metaKey)) return;
      if (dispatching && on.includes("on_enter_pressed")) {
        event.preventDefault();
        send(event.target.value);
      } else if (ctx.submit) {
        event.preventDefault();
        ctx.submit();
      }
    },
  });
}

const fieldId = (ctx, block, one) => `field-${nameIn(ctx, block, one)}`.replace(/[^A-Za-z0-9_-]/g, "_");

/** The `input` block: only views have a submit button for it, but Slack allows it in messages and homes too. */
export function inputBlock(block, ctx) {
  const error = ctx.errors?.[block.block_id];
  const one = block.element ?? {};
  return h(
    "div",
    { class: `block input-block${error ? " has-error" : ""}` },
    h(
      "label",
      { class: "field-label", for: fieldId(ctx, block, one) },
      textLine(block.label),
      block.optional ? h("span", { class: "field-optional" }, " (optional)") : null,
    ),
    element(one, block, ctx),
    error
      ? h("div", { class: "field-error", role: "alert", "data-testid": "field-error" }, h("bdi", null, error))
      : null,
    block.hint ? h("div", { class: "field-hint" }, textLine(block.hint)) : null,
  );
}

// Plans and their tasks: what an agent is doing, step by step.

import { h } from "../dom.js";
import { icon } from "../icons.js";
import { anchor } from "../links.js";
import { textLine } from "../mrkdwn.js";
import { toggle, toggled } from "../ui.js";
import { richText } from "./rich.js";

const WORDS = { pending: "to do", in_progress: "in progress", complete: "done", error: "failed" };

function tick(status) {
  const known = status in WORDS ? status : "pending";
  const glyph = { complete: "check", error: "cross" }[known];
  return h(
    "span",
    { class: `tick tick-${known}`, role: "img", "aria-label": WORDS[known] },
    glyph ? icon(glyph) : null,
  );
}

/** One task: a line with its tick; details, output and sources below it. */
export function taskCard(block, ctx) {
  const name = `${ctx.surface}|${block.block_id ?? ""}|${block.task_id}|task`;
  const more = block.details || block.output || block.sources?.length;
  const open = toggled(name, true);
  const title = h("span", { class: "task-title" }, textLine(block.title, ctx.me));
  return h(
    "div",
    { class: `block task task-${block.status}`, "data-task-id": block.task_id, "data-status": block.status },
    tick(block.status),
    h(
      "div",
      { class: "task-main" },
      more
        ? h(
            "button",
            {
              type: "button",
              class: "task-head",
              "aria-expanded": String(open),
              onclick: () => toggle(name, ctx.surface, true),
            },
            title,
            icon("down", open ? "turned" : ""),
          )
        : h("div", { class: "task-head" }, title),
      open && block.details ? h("div", { class: "task-details rich" }, richText(block.details, ctx.me)) : null,
      open && block.output ? h("div", { class: "task-output rich" }, richText(block.output, ctx.me)) : null,
      open && block.sources?.length
        ? h(
            "div",
            { class: "task-sources" },
            block.sources.map((one) =>
              h("span", { class: "source" }, icon("link"), anchor(one.url, h("bdi", null, one.text || one.url))),
            ),
          )
        : null,
    ),
  );
}

/** The `plan` block: a title with a count, and its tasks. */
export function plan(block, ctx) {
  const tasks = block.tasks ?? [];
  const done = tasks.filter((one) => one.status === "complete").length;
  const name = `${ctx.surface}|${block.block_id}|plan`;
  const open = toggled(name, true);
  return h(
    "section",
    { class: "block plan" },
    h(
      "button",
      {
        type: "button",
        class: "plan-head",
        "aria-expanded": String(open),
        onclick: () => toggle(name, ctx.surface, true),
      },
      h("span", { class: "plan-title" }, textLine(block.title, ctx.me)),
      tasks.length ? h("span", { class: "plan-count" }, `${done} of ${tasks.length}`) : null,
      icon("down", open ? "turned" : ""),
    ),
    tasks.length
      ? h("progress", {
          class: "plan-bar",
          max: tasks.length,
          value: done,
          "aria-label": `${done} of ${tasks.length} done`,
        })
      : null,
    open
      ? h(
          "div",
          { class: "plan-tasks" },
          tasks.map((one, i) =>
            h("div", { key: one.task_id ?? i }, taskCard({ ...one, block_id: one.block_id ?? block.block_id }, ctx)),
          ),
        )
      : null,
  );
}

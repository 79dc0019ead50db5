// Tables: `table` as written, `data_table` with pages and sorting.

import { h } from "../dom.js";
import { icon } from "../icons.js";
import { withEmoji } from "../mrkdwn.js";
import { touch } from "../ui.js";
import { richText } from "./rich.js";

const DEFAULT_PAGE = 5;
const views = new Map(); // table name -> { page, column, down }

const isNumber = (cell) => cell?.type === "raw_number";

function cellBody(cell, me) {
  if (cell?.type === "rich_text") return h("div", { class: "rich" }, richText(cell, me));
  return h("bdi", null, withEmoji(cell?.text ?? (cell?.value === undefined ? "" : String(cell.value))));
}

const side = (setting, cell) =>
  `align-${["center", "right"].includes(setting?.align) ? setting.align : isNumber(cell) && !setting?.align ? "right" : "left"}`;

/** The `table` block: the first row is the header. */
export function table(block, ctx) {
  const settings = block.column_settings ?? [];
  const row = (cells, tag) =>
    h(
      "tr",
      null,
      cells.map((cell, i) =>
        h(
          tag,
          {
            class: `${side(settings[i], cell)}${settings[i]?.is_wrapped ? " wrapped" : ""}`,
            scope: tag === "th" ? "col" : null,
          },
          cellBody(cell, ctx.me),
        ),
      ),
    );
  const [head, ...body] = block.rows ?? [];
  return h(
    "div",
    { class: "block tablebox", tabindex: "0" },
    h(
      "table",
      null,
      head ? h("thead", null, row(head, "th")) : null,
      h(
        "tbody",
        null,
        body.map((cells) => row(cells, "td")),
      ),
    ),
  );
}

const sortKey = (cell) => (isNumber(cell) ? cell.value : (cell?.text ?? "").toLowerCase());

function sorted(rows, { column, down }) {
  if (column === null) return rows;
  const sign = down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [sortKey(a[column]), sortKey(b[column])];
    return (
      sign *
      (typeof x === "number" && typeof y === "number"
        ? x - y
        : String(x).localeCompare(String(y), undefined, { numeric: true }))
    );
  });
}

/** The `data_table` block. */
export function dataTable(block, ctx) {
  const name = `${ctx.surface}|${block.block_id}`;
  const view = views.get(name) ?? { page: 0, column: null, down: false };
  const set = (change) => {
    views.set(name, { ...view, ...change });
    touch(ctx.surface);
  };
  const [head = [], ...body] = block.rows ?? [];
  const size = block.page_size ?? DEFAULT_PAGE;
  const pages = Math.max(1, Math.ceil(body.length / size));
  const page = Math.min(view.page, pages - 1);
  const shown = sorted(body, view).slice(page * size, (page + 1) * size);
  const rowHeader = block.row_header_column_index ?? 0;
  const headCell = (cell, i) =>
    h(
      "th",
      {
        scope: "col",
        class: side(null, body[0]?.[i]),
        "aria-sort": view.column === i ? (view.down ? "descending" : "ascending") : "none",
      },
      h(
        "button",
        {
          type: "button",
          class: "sortbutton",
          onclick: () => set({ column: i, down: view.column === i && !view.down, page: 0 }),
        },
        cellBody(cell, ctx.me),
        h("span", { class: "sortmark", "aria-hidden": "true" }, view.column === i ? (view.down ? "↓" : "↑") : ""),
      ),
    );
  return h(
    "div",
    { class: "block" },
    h(
      "div",
      { class: "tablebox", tabindex: "0" },
      h(
        "table",
        null,
        h("caption", null, block.caption ?? ""),
        h("thead", null, h("tr", null, head.map(headCell))),
        h(
          "tbody",
          null,
          shown.map((cells) =>
            h(
              "tr",
              null,
              cells.map((cell, i) =>
                h(
                  i === rowHeader ? "th" : "td",
                  { class: side(null, cell), scope: i === rowHeader ? "row" : null },
                  cellBody(cell, ctx.me),
                ),
              ),
            ),
          ),
        ),
      ),
    ),
    pages > 1
      ? h(
          "div",
          { class: "pager" },
          h(
            "button",
            {
              type: "button",
              class: "iconbutton turn-left",
              "aria-label": "Previous page",
              disabled: page === 0,
              onclick: () => set({ page: page - 1 }),
            },
            icon("down"),
          ),
          h("span", null, `${page * size + 1}–${Math.min(body.length, (page + 1) * size)} of ${body.length}`),
          h(
            "button",
            {
              type: "button",
              class: "iconbutton turn-right",
              "aria-label": "Next page",
              disabled: page >= pages - 1,
              onclick: () => set({ page: page + 1 }),
            },
            icon("down"),
          ),
        )
      : null,
  );
}

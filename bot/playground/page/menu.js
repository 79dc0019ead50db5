// The one floating list of the page: select menus, overflow menus, the reaction picker, the persona switcher.
//
// It lives beside the page, not inside a message, so it stays open while the message under it changes; it follows its
// anchor, the element with the same `data-menu`, and closes when that is gone.

import { focusSoon, h } from "./dom.js";
import { icon } from "./icons.js";
import { afterDraw, refresh, ui } from "./ui.js";

/**
 * Open a list under the element marked `data-menu=key`.
 *
 * Options: `label`, `items: [{label, note?, value, group?, selected?, danger?}]` or `load(query) -> Promise<items>`, `pick(item)`,
 * `many` (stays open, items toggle), `search` (shows a filter), `grid` (small tiles instead of rows).
 */
export function openMenu(key, options) {
  if (ui.menu?.key === key) {
    closeMenu();
    return;
  }
  ui.menu = { key, query: "", active: 0, loaded: null, ...options };
  if (options.load) load("");
  refresh();
}

export function closeMenu({ focus = true } = {}) {
  if (!ui.menu) return;
  const anchor = anchorOf(ui.menu.key);
  ui.menu = null;
  refresh();
  if (focus) anchor?.focus();
}

export const isOpen = (key) => ui.menu?.key === key;
const anchorOf = (key) => document.querySelector(`[data-menu="${CSS.escape(key)}"]`);

async function load(query) {
  const menu = ui.menu;
  try {
    const items = await menu.load(query);
    if (ui.menu === menu && menu.query === query) menu.loaded = items;
  } catch (error) {
    if (ui.menu === menu) menu.failure = error.message;
  }
  refresh();
}

function shownItems(menu) {
  const all = menu.load ? (menu.loaded ?? []) : typeof menu.items === "function" ? menu.items() : menu.items;
  if (menu.load || !menu.query) return all;
  const wanted = menu.query.toLowerCase();
  return all.filter((item) => `${item.label} ${item.note ?? ""} ${item.words ?? ""}`.toLowerCase().includes(wanted));
}

function choose(item) {
  const menu = ui.menu;
  if (!menu.many) closeMenu();
  menu.pick(item);
  refresh();
}

function onKey(event) {
  const menu = ui.menu;
  const items = shownItems(menu);
  const step =
    { ArrowDown: 1, ArrowUp: -1, ArrowRight: menu.grid ? 1 : 0, ArrowLeft: menu.grid ? -1 : 0 }[event.key] ?? 0;
  if (step && items.length) {
    menu.active = (menu.active + step + items.length) % items.length;
    refresh();
    afterDraw(() => document.querySelector(".menu .is-active")?.scrollIntoView({ block: "nearest" }));
  } else if (event.key === "Enter" || (event.key === " " && !menu.search)) {
    if (items[menu.active]) choose(items[menu.active]);
  } else if (event.key === "Escape" || event.key === "Tab") {
    closeMenu();
  } else {
    return;
  }
  event.preventDefault();
  event.stopPropagation();
}

function row(item, index, menu) {
  const id = `menu-item-${index}`;
  return h(
    "li",
    {
      key: `${item.value}-${index}`,
      id,
      role: "option",
      class: `menu-item${index === menu.active ? " is-active" : ""}${item.danger ? " is-danger" : ""}`,
      "aria-selected": String(Boolean(item.selected)),
      "data-value": item.value,
      onmousedown: (event) => event.preventDefault(),
      onclick: () => choose(item),
    },
    item.lead ?? null,
    h(
      "span",
      { class: "menu-text" },
      h("bdi", { class: "menu-label" }, item.face ?? item.label),
      item.note ? h("span", { class: "menu-note" }, item.note) : null,
    ),
    item.selected ? icon("check", "menu-tick") : null,
  );
}

function rows(menu) {
  const items = shownItems(menu);
  const out = [];
  let group = null;
  items.forEach((item, index) => {
    if (item.group && item.group !== group)
      out.push(h("li", { key: `g-${item.group}`, class: "menu-group", role: "presentation" }, item.group));
    group = item.group ?? null;
    out.push(row(item, index, menu));
  });
  if (!out.length) {
    const words = menu.failure ?? (menu.load && !menu.loaded ? "Looking…" : "Nothing matches.");
    out.push(h("li", { key: "none", class: "menu-none", role: "presentation" }, words));
  }
  return out;
}

/** The menu layer; empty when no menu is open. */
export function menuLayer() {
  const menu = ui.menu;
  if (!menu) return null;
  const active = `menu-item-${menu.active}`;
  return h(
    "div",
    { key: `menu-${menu.key}`, class: "menu-layer" },
    h("div", { class: "menu-shade", onmousedown: (event) => (event.preventDefault(), closeMenu()) }),
    h(
      "div",
      {
        class: `menu${menu.grid ? " menu-grid" : ""}`,
        "data-testid": "menu",
        onkeydown: onKey,
        created: (el) => focusSoon(() => el.querySelector("input") ?? el.querySelector("ul")),
      },
      menu.search
        ? h("input", {
            class: "menu-search",
            type: "text",
            role: "combobox",
            placeholder: menu.hint ?? "Filter",
            "aria-label": menu.hint ?? `Filter ${menu.label}`,
            "aria-expanded": "true",
            "aria-controls": "menu-list",
            "aria-activedescendant": active,
            autocomplete: "off",
            value: menu.query,
            oninput: (event) => {
              menu.query = event.target.value;
              menu.active = 0;
              if (menu.load) load(menu.query);
              refresh();
            },
          })
        : null,
      h(
        "ul",
        {
          id: "menu-list",
          role: "listbox",
          tabindex: "-1",
          "aria-label": menu.label,
          "aria-multiselectable": menu.many ? "true" : null,
          "aria-activedescendant": active,
        },
        rows(menu),
      ),
    ),
  );
}

/** After each drawing: keep the list under its anchor and inside the window. */
export function placeMenu() {
  if (!ui.menu) return;
  const anchor = anchorOf(ui.menu.key);
  const box = document.querySelector(".menu");
  if (!anchor || !box) {
    if (!anchor) closeMenu({ focus: false });
    return;
  }
  const at = anchor.getBoundingClientRect();
  const margin = 8;
  const roomBelow = innerHeight - at.bottom - margin;
  const roomAbove = at.top - margin;
  const height = Math.min(box.scrollHeight + 2, 340);
  const below = roomBelow >= Math.min(height, 220) || roomBelow >= roomAbove;
  box.style.maxHeight = `${Math.max(120, Math.min(340, below ? roomBelow : roomAbove))}px`;
  box.style.minWidth = ui.menu.grid ? "" : `${Math.min(Math.max(at.width, 180), innerWidth - 2 * margin)}px`;
  const width = box.offsetWidth;
  box.style.left = `${Math.max(margin, Math.min(at.left, innerWidth - width - margin))}px`;
  box.style.top = below ? `${at.bottom + 4}px` : `${Math.max(margin, at.top - 4 - box.offsetHeight)}px`;
}

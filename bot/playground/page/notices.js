// Toasts: short sentences the server or this page has for the person, such as a click no app answered.

import { h } from "./dom.js";
import { icon } from "./icons.js";
import { refresh, ui } from "./ui.js";

const SHOWN_MS = 9000;
let next = 1;

/** Show a sentence for a while. `kind` is "info", "warning" or "error". */
export function toast(text, kind = "info") {
  if (ui.toasts.some((one) => one.text === text)) return;
  const one = { id: next++, text, kind };
  ui.toasts = [...ui.toasts.slice(-3), one];
  refresh();
  setTimeout(() => dismiss(one.id), SHOWN_MS);
}

function dismiss(id) {
  ui.toasts = ui.toasts.filter((one) => one.id !== id);
  refresh();
}

export function toastLayer() {
  return h(
    "div",
    { key: "toasts", class: "toasts", role: "status", "aria-live": "polite" },
    ui.toasts.map((one) =>
      h(
        "div",
        { key: `toast-${one.id}`, class: `toast toast-${one.kind}`, "data-testid": "toast" },
        icon(one.kind === "info" ? "info" : "warning"),
        h("bdi", { class: "toast-text" }, one.text),
        h(
          "button",
          { type: "button", class: "iconbutton", "aria-label": "Dismiss", onclick: () => dismiss(one.id) },
          icon("close"),
        ),
      ),
    ),
  );
}

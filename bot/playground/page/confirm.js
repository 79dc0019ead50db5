// The small question before a click that counts: Slack's confirm object, and the page's own "leave without saving?".

import { focusSoon, h } from "./dom.js";
import { textLine, textObject } from "./mrkdwn.js";
import { afterDraw, refresh, ui } from "./ui.js";

/** Ask, and answer with true or false. `object` is a confirm object: title, text, confirm, deny, style. */
export function ask(object) {
  return new Promise((resolve) => {
    ui.confirm?.resolve(false);
    ui.confirm = { object, resolve, opener: document.activeElement };
    refresh();
  });
}

function answer(yes) {
  const { resolve, opener } = ui.confirm;
  ui.confirm = null;
  refresh();
  // Not before the drawing: until then the page behind the question is inert and takes no focus.
  afterDraw(() => opener?.focus?.());
  resolve(yes);
}

export const dismissConfirm = () => answer(false);

export function confirmLayer() {
  if (!ui.confirm) return null;
  const { object } = ui.confirm;
  const style = object.style === "danger" ? "danger" : "primary";
  return h(
    "div",
    {
      key: "confirm",
      class: "overlay overlay-front",
      onmousedown: (event) => event.target === event.currentTarget && answer(false),
    },
    h(
      "div",
      {
        class: "dialog dialog-small",
        role: "alertdialog",
        "aria-modal": "true",
        "aria-labelledby": "confirm-title",
        "aria-describedby": "confirm-text",
        "data-testid": "confirm",
      },
      h("h2", { id: "confirm-title", class: "dialog-title" }, textLine(object.title ?? "Are you sure?")),
      h("div", { id: "confirm-text", class: "dialog-text rich" }, textObject(object.text, ui.persona)),
      h(
        "div",
        { class: "dialog-buttons" },
        h(
          "button",
          { type: "button", class: "button", "data-testid": "confirm-no", onclick: () => answer(false) },
          textLine(object.deny ?? "Cancel"),
        ),
        h(
          "button",
          {
            type: "button",
            class: `button ${style}`,
            "data-testid": "confirm-yes",
            created: (el) => focusSoon(() => el),
            onclick: () => answer(true),
          },
          textLine(object.confirm ?? "Yes"),
        ),
      ),
    ),
  );
}

// A picture, large, over the page.

import { focusSoon, h } from "./dom.js";
import { icon } from "./icons.js";
import { afterDraw, refresh, ui } from "./ui.js";

/** Show a picture: `{ url, name, download? }`. */
export function showPicture(picture) {
  ui.lightbox = { ...picture, opener: document.activeElement };
  refresh();
}

export function closePicture() {
  const { opener } = ui.lightbox;
  ui.lightbox = null;
  refresh();
  afterDraw(() => opener?.focus?.());
}

export function lightboxLayer() {
  const picture = ui.lightbox;
  if (!picture) return null;
  return h(
    "div",
    {
      key: "lightbox",
      class: "overlay lightbox",
      role: "dialog",
      "aria-modal": "true",
      "aria-label": picture.name,
      "data-testid": "lightbox",
      onclick: (event) => !event.target.closest("a, img") && closePicture(),
    },
    h(
      "div",
      { class: "lightbox-bar" },
      h("bdi", { class: "lightbox-name" }, picture.name),
      h(
        "a",
        {
          class: "iconbutton",
          href: picture.url,
          download: picture.name,
          "aria-label": `Download ${picture.name}`,
          title: "Download",
        },
        icon("download"),
      ),
      h(
        "button",
        {
          type: "button",
          class: "iconbutton",
          "aria-label": "Close",
          title: "Close",
          created: (el) => focusSoon(() => el),
          onclick: closePicture,
        },
        icon("close"),
      ),
    ),
    h("img", { class: "lightbox-img", src: picture.url, alt: picture.name }),
  );
}

// The page's own small drawings, as line icons on a 20-unit grid.

import { h } from "./dom.js";

const PATHS = {
  hash: "M8 3 6 17M14 3l-2 14M4 8h13M3 13h13",
  home: "M3 9.5 10 4l7 5.5M5 8.5V16h4v-4h2v4h4V8.5",
  chat: "M4 4h12v9H9l-4 3.5V13H4z",
  down: "M5 8l5 5 5-5",
  close: "M5 5l10 10M15 5 5 15",
  menu: "M3 6h14M3 10h14M3 14h14",
  clip: "M13.5 6.5 8 12a1.8 1.8 0 0 0 2.6 2.6l5.6-5.7a3.4 3.4 0 0 0-4.9-4.8L5.6 9.8a5 5 0 0 0 7 7l4-4",
  send: "M3 10 17 4l-4 13-3-5.5z M10 11.5 17 4",
  smile: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14M7.5 8.2v.3M12.5 8.2v.3M7 11.6c1.6 2.3 4.4 2.3 6 0",
  reply: "M4 4h12v9H9l-4 3.5V13H4zM7 7.5h6M7 10h4",
  file: "M5 3h7l3.5 3.5V17H5zM12 3v4h3.5",
  download: "M10 3v9M6.5 9 10 12.5 13.5 9M4 16h12",
  more: "M4.5 10h.1M10 10h.1M15.5 10h.1",
  check: "M4.5 10.5 8.5 14.5 15.5 6",
  cross: "M6 6l8 8M14 6l-8 8",
  up: "M7 9.5 10 4c1.4 0 1.6 1.2 1.3 2.4L11 8.5h4.2c.9 0 1.3.7 1.1 1.5l-1.3 5c-.2.7-.7 1-1.4 1H7zM4 9.5h3V16H4z",
  thumbdown:
    "M13 10.5 10 16c-1.4 0-1.6-1.2-1.3-2.4l.3-2.1H4.8c-.9 0-1.3-.7-1.1-1.5l1.3-5c.2-.7.7-1 1.4-1H13zM16 10.5h-3V4h3z",
  trash: "M4 6h12M8 6V4h4v2M5.5 6l.8 10.5h7.4L14.5 6M8.5 9v5M11.5 9v5",
  info: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14M10 9.2V14M10 6.4v.2",
  warning: "M10 3.5 17.5 16.5h-15zM10 8.5v4M10 14.4v.2",
  eye: "M2.5 10C5 5.5 15 5.5 17.5 10 15 14.5 5 14.5 2.5 10M10 8a2 2 0 1 0 0 4 2 2 0 0 0 0-4",
  play: "M7 4.5v11l8.5-5.5z",
  phone: "M5 3.5h3l1.2 4-1.9 1.4a10 10 0 0 0 3.8 3.8l1.4-1.9 4 1.2v3c-6.5 1.6-13.1-5-11.5-11.5z",
  plug: "M7 3v4M13 3v4M5 7h10v3.5a5 5 0 0 1-10 0zM10 15.5V18",
  link: "M8.5 11.5a3 3 0 0 0 4.2 0l3-3a3 3 0 0 0-4.2-4.2l-1 1M11.5 8.5a3 3 0 0 0-4.2 0l-3 3a3 3 0 0 0 4.2 4.2l1-1",
  bolt: "M11 2.5 5 11h4.5L9 17.5 15 9h-4.5z",
};

/** A decorative icon; the control around it carries the label. */
export function icon(name, className = "") {
  return h(
    "svg",
    { class: `icon ${className}`, viewBox: "0 0 20 20", "aria-hidden": "true", focusable: "false" },
    h("path", {
      d: PATHS[name] ?? PATHS.info,
      fill: "none",
      stroke: "currentColor",
      "stroke-width": "1.6",
      "stroke-linecap": "round",
      "stroke-linejoin": "round",
    }),
  );
}

/** The mark of this page: a figure with one arm out and one up, the crane signal for "hoist". */
export function mark() {
  return h(
    "svg",
    { class: "brandmark", viewBox: "0 0 32 32", "aria-hidden": "true", focusable: "false" },
    h("circle", { cx: "16", cy: "9.5", r: "3.6", fill: "currentColor" }),
    h("path", {
      d: "M16 15v8M16 16.5 7 19.5M16 16.5l8-2.2V6M16 23l-4 6M16 23l4 6",
      fill: "none",
      stroke: "currentColor",
      "stroke-width": "2.8",
      "stroke-linecap": "round",
      "stroke-linejoin": "round",
    }),
  );
}

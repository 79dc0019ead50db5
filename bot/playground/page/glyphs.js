// The page's own drawings of the emoji it meets most, so that a reaction is readable on a machine without an emoji
// font. Everything else is left to the system.

import { h } from "./dom.js";

const STROKE = { fill: "none", "stroke-width": "2.2", "stroke-linecap": "round", "stroke-linejoin": "round" };
const fill = (d, colour) => ["path", { d, fill: colour }];
const line = (d, colour, width) => [
  "path",
  { ...STROKE, d, stroke: colour, ...(width ? { "stroke-width": width } : {}) },
];
const disc = (cx, cy, r, colour) => ["circle", { cx, cy, r, fill: colour }];
const oval = (cx, cy, rx, ry, colour, edge) => [
  "ellipse",
  { cx, cy, rx, ry, fill: colour, stroke: edge, "stroke-width": "1" },
];
const box = (colour) => ["rect", { x: 2, y: 2, width: 16, height: 16, rx: 3.5, fill: colour }];

const THUMB =
  "M3 9.2h3.2L9.4 3c1.5-.1 2.3 1 2 2.3l-.6 2.6h4.6c1.2 0 1.8.9 1.5 2l-1.6 5.3c-.3.9-1 1.5-2 1.5H8.6L6.2 16H3z";
const HEART = "M10 17C4.5 13.2 2.4 10.6 2.4 7.5A4 4 0 0 1 10 5.8a4 4 0 0 1 7.6 1.7c0 3.1-2.1 5.7-7.6 9.5z";
const OCTAGON = "M6.6 2h6.8L18 6.6v6.8L13.4 18H6.6L2 13.4V6.6z";
const SAND = "M5 2.5h10M5 17.5h10M6.5 3c0 4 3.5 4.5 3.5 7s-3.5 3-3.5 7M13.5 3c0 4-3.5 4.5-3.5 7s3.5 3 3.5 7";

const DRAWINGS = {
  eyes: [
    oval(5.8, 10, 4.1, 5.6, "#fff", "#8b9399"),
    oval(14.2, 10, 4.1, 5.6, "#fff", "#8b9399"),
    disc(4.4, 11, 2, "#22313a"),
    disc(12.8, 11, 2, "#22313a"),
  ],
  x: [line("M4 4l12 12M16 4 4 16", "#d33a30", "3.4")],
  white_check_mark: [box("#2c9a5b"), line("M5.5 10.4 8.8 13.8 14.8 6.6", "#fff", "2.6")],
  heavy_check_mark: [line("M3.5 10.8 8 15.4 16.5 5", "#2c9a5b", "3.2")],
  warning: [fill("M10 2.2 18.6 17H1.4z", "#f2b32b"), line("M10 7.4v4.4", "#2b2b2b"), disc(10, 14.4, 1.2, "#2b2b2b")],
  octagonal_sign: [fill(OCTAGON, "#d33a30"), line("M6.5 10h7", "#fff", "2.8")],
  no_entry: [disc(10, 10, 8, "#d33a30"), line("M6 10h8", "#fff", "3")],
  "+1": [fill(THUMB, "#f2b84b")],
  "-1": [["g", { transform: "rotate(180 10 10)" }, [fill(THUMB, "#f2b84b")]]],
  heart: [fill(HEART, "#e0433a")],
  tada: [
    fill("M2 18 6.4 7 13 13.6z", "#f2a73b"),
    line("M9 6c.4-1.6.2-2.8-.6-4M11.5 8.5c1-2 2.6-3 5-2.8M13.8 11.2c1.6-.5 2.8-.3 4 .6", "#7a4fa3", "1.6"),
    disc(13.2, 3.4, 1.1, "#2f6db0"),
    disc(17, 9, 1, "#d33a30"),
  ],
  question: [
    line("M6.4 6.6c.3-5 7.6-4.8 7.4-.3-.1 2.7-3.5 2.8-3.6 5.8", "#d33a30", "2.8"),
    disc(10.2, 16.4, 1.6, "#d33a30"),
  ],
  exclamation: [line("M10 3v8.4", "#d33a30", "3.2"), disc(10, 16.2, 1.8, "#d33a30")],
  hourglass_flowing_sand: [
    line(SAND, "#8a6a1f", "1.7"),
    fill("M8 16.6c.4-2 3.6-2 4 0z", "#f2a73b"),
    fill("M8.2 6h3.6L10 8.6z", "#f2a73b"),
  ],
  hourglass: [line(SAND, "#8a6a1f", "1.7"), fill("M7.4 16.8c.6-3.4 4.6-3.4 5.2 0z", "#f2a73b")],
  rocket: [
    fill("M17.6 2.4c-5.6-.4-9 2.8-11 7.6l3.4 3.4c4.8-2 8-5.4 7.6-11z", "#8fa3b0"),
    disc(12.8, 7.2, 1.7, "#2f6db0"),
    fill("M6.4 9.6 3 10l2.6-3.8 3-.4zM10.4 13.6 10 17l3.8-2.6.4-3z", "#d33a30"),
    fill("M6.2 12.2 2.4 17.6l5.4-3.8z", "#f2a73b"),
  ],
  bulb: [disc(10, 8, 5.6, "#f6c945"), line("M8 15h4M8.6 17.6h2.8", "#6d767c", "1.8")],
  lock: [line("M6.5 9V6.5a3.5 3.5 0 0 1 7 0V9", "#6d767c"), fill("M4.5 9h11v8.5h-11z", "#f2a73b")],
  red_circle: [disc(10, 10, 7.5, "#d33a30")],
  large_green_circle: [disc(10, 10, 7.5, "#2c9a5b")],
  large_yellow_circle: [disc(10, 10, 7.5, "#f2b32b")],
  large_blue_circle: [disc(10, 10, 7.5, "#2f6db0")],
  white_circle: [oval(10, 10, 7.2, 7.2, "#f4f4f2", "#8b9399")],
  black_circle: [disc(10, 10, 7.5, "#22313a")],
  rotating_light: [
    fill("M5 15V11a5 5 0 0 1 10 0v4z", "#d33a30"),
    fill("M3.5 15h13v2.5h-13z", "#6d767c"),
    line("M10 2v1.6M3.6 4.6l1.2 1.2M16.4 4.6l-1.2 1.2", "#d33a30", "1.6"),
  ],
  bar_chart: [box("#e8eef4"), line("M6 15v-4M10 15V6M14 15V9", "#2f6db0", "2.6")],
  page_facing_up: [fill("M4.5 2h8l3.5 3.5V18H4.5z", "#e8eef4"), line("M7 8h6M7 11h6M7 14h4", "#6d767c", "1.4")],
  memo: [
    fill("M3.5 2.5h10V18h-10z", "#e8eef4"),
    line("M6 6.5h5M6 9.5h4", "#6d767c", "1.4"),
    line("M16.8 6.5 10 13.8", "#f2a73b", "2.6"),
  ],
  snowflake: [line("M10 2v16M3 6l14 8M17 6 3 14", "#4a90c4", "1.8")],
};
DRAWINGS.thumbsup = DRAWINGS["+1"];
DRAWINGS.thumbsdown = DRAWINGS["-1"];
DRAWINGS.stop_sign = DRAWINGS.octagonal_sign;

const shape = ([tag, props, kids]) => h(tag, props, (kids ?? []).map(shape));

/** The drawing of an emoji, or `null` where the system's font has to do. */
export function glyph(name) {
  const drawing = Object.hasOwn(DRAWINGS, name) ? DRAWINGS[name] : null;
  return (
    drawing &&
    h("svg", { class: "glyph", viewBox: "0 0 20 20", "aria-hidden": "true", focusable: "false" }, drawing.map(shape))
  );
}

// What this page is showing and what a person has begun but not sent. Nothing here is known to the server.

export const ui = {
  persona: null,
  place: { kind: "channel", channel: null }, // or { kind: "home" }
  thread: null, // ts of the root
  drawer: false,
  connection: "connecting", // "live" | "lost"
  menu: null, // see menu.js
  confirm: null, // see confirm.js
  lightbox: null, // { url, name }
  faultsOpen: false,
  drafts: new Map(), // composer key -> draft, see composer.js
  toasts: [],
  pulse: null, // ts of a message to draw the eye to
};

const revisions = new Map();
let draw = () => {};
let asked = false;

/** `app.js` says how to draw; everyone else only says that something changed. */
export function onDraw(fn) {
  draw = fn;
}

/** Ask for a new picture. Many askings before the next frame make one drawing. */
export function refresh() {
  if (asked) return;
  asked = true;
  // A timer beside the frame: a page in a background tab gets no frames but its title still counts unread messages.
  const run = () => {
    if (!asked) return;
    asked = false;
    draw();
    const due = next;
    next = [];
    due.forEach((fn) => fn());
  };
  requestAnimationFrame(run);
  setTimeout(run, 120);
}

let next = [];

/** Run once, right after the next drawing. */
export function afterDraw(fn) {
  next.push(fn);
}

/** Say that something of a surface (a message, a view, a home) changed on this side. */
export function touch(surface) {
  revisions.set(surface, (revisions.get(surface) ?? 0) + 1);
  refresh();
}

export const revision = (surface) => revisions.get(surface) ?? 0;

const opened = new Map();

/** A small yes/no that belongs to a place on screen, such as a folded container. */
export const toggled = (key, byDefault = false) => opened.get(key) ?? byDefault;

export function toggle(key, surface, byDefault = false) {
  opened.set(key, !toggled(key, byDefault));
  touch(surface);
}

export const setToggle = (key, value, surface) => {
  opened.set(key, value);
  touch(surface);
};

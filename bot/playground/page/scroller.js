// A list of messages that stays at its end while a person reads there, and stays put while they read further up.

import { refresh } from "./ui.js";

const NEAR_PX = 60;
const lists = new Map(); // name -> { stuck, top, unseen, last, el }

function stateOf(name) {
  if (!lists.has(name)) lists.set(name, { stuck: true, top: 0, unseen: 0, last: null, el: null });
  return lists.get(name);
}

const toEnd = (el) => {
  el.scrollTop = el.scrollHeight;
};

/** Properties for the scrolling element. `name` is what is shown in it. */
export function scrolls(name) {
  const list = stateOf(name);
  return {
    key: `scroll-${name}`,
    onscroll: (event) => {
      const el = event.currentTarget ?? list.el;
      // Content that grew since the last frame is no reason to let go of the end; only a move upwards is.
      const wentUp = el.scrollTop < list.top - 1;
      list.top = el.scrollTop;
      const near = el.scrollHeight - el.scrollTop - el.clientHeight < NEAR_PX;
      const stuck = near || (list.stuck && !wentUp);
      if (stuck !== list.stuck) {
        list.stuck = stuck;
        if (stuck) list.unseen = 0;
        refresh();
      }
    },
    created: (el) => {
      list.el = el;
      // Pictures and previews grow after they are drawn; the end must still be the end then.
      list.watcher = new ResizeObserver(() => list.stuck && toEnd(el));
      list.watcher.observe(el);
      if (el.firstElementChild) list.watcher.observe(el.firstElementChild);
      requestAnimationFrame(() => (list.stuck ? toEnd(el) : (el.scrollTop = list.top)));
    },
    updated: (el) => list.stuck && toEnd(el),
    removed: () => list.watcher?.disconnect(),
  };
}

/** Count what arrived below the fold: call with the ts of the newest message and whose it is. */
export function noteNewest(name, messages, persona) {
  const list = stateOf(name);
  const newest = messages.at(-1)?.ts ?? null;
  if (list.last !== null && newest !== null && newest > list.last) {
    const fresh = messages.filter((one) => one.ts > list.last);
    if (fresh.some((one) => one.user === persona)) list.stuck = true;
    else if (!list.stuck) list.unseen += fresh.length;
  }
  list.last = newest;
  return list;
}

export function jumpToEnd(name) {
  const list = stateOf(name);
  list.stuck = true;
  list.unseen = 0;
  if (list.el) list.el.scrollTo({ top: list.el.scrollHeight, behavior: "smooth" });
  refresh();
}

/** Leave the end, to show one message further up. */
export function unstick(name) {
  stateOf(name).stuck = false;
}

// The address of what is on screen: `#user=U1&channel=C1&thread=1700000000.000100`, or `#user=U1&home`.
//
// Names work as well as ids, so a link can be written by hand: `#user=approver&channel=data`.

import { channelsOf, directOf, personas, store } from "./state.js";
import { refresh, ui } from "./ui.js";

function byIdOrName(list, wanted) {
  return list.find((one) => one.id === wanted) ?? list.find((one) => one.name === wanted);
}

/** A message link opened from outside: `/?channel=C1&ts=…&thread_ts=…`. Turned into the address this page uses. */
export function readQuery() {
  const given = new URLSearchParams(location.search);
  if (!given.has("channel")) return;
  const parts = new URLSearchParams(location.hash.slice(1));
  parts.set("channel", given.get("channel"));
  if (given.get("thread_ts")) parts.set("thread", given.get("thread_ts"));
  ui.pulse = given.get("ts");
  history.replaceState(null, "", `/#${parts}`);
}

/** Put the page where the address says; what is missing or unknown is filled in. */
export function readHash() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  const people = personas();
  const persona = byIdOrName(people, wanted.get("user")) ?? byIdOrName(people, ui.persona) ?? people[0];
  ui.persona = persona?.id ?? null;
  const rooms = channelsOf(ui.persona);
  const asked = wanted.get("channel") === "dm" ? directOf(ui.persona) : byIdOrName(rooms, wanted.get("channel"));
  if (wanted.has("home")) {
    ui.place = { kind: "home" };
    ui.thread = null;
  } else {
    const room =
      asked ?? rooms.find((one) => one.id === ui.place.channel) ?? rooms.find((one) => !one.is_im) ?? rooms[0];
    ui.place = { kind: "channel", channel: room?.id ?? null };
    ui.thread = room && asked ? wanted.get("thread") || null : null;
  }
  refresh();
}

/** Move: any of `{ user, channel, home, thread, pulse }`. The address changes, and the page follows it. */
export function go({ user = ui.persona, channel, home = false, thread = null, pulse = null }) {
  const parts = new URLSearchParams({ user });
  const place = channel ?? (ui.place.kind === "channel" ? ui.place.channel : null);
  if (!home && place) parts.set("channel", place);
  if (!home && thread) parts.set("thread", thread);
  const hash = `#${parts}${home ? "&home" : ""}`;
  ui.drawer = false;
  ui.menu = null;
  ui.pulse = pulse;
  if (hash !== location.hash) location.hash = hash;
  else refresh();
}

/** Act as someone else, staying where that person may be. */
export function become(user) {
  const room = store.channels.get(ui.place.channel);
  const theirs = channelsOf(user);
  if (ui.place.kind === "home") go({ user, home: true });
  else if (room?.is_im) go({ user, channel: (directOf(user) ?? theirs[0])?.id });
  else
    go({
      user,
      channel: theirs.includes(room) ? room.id : theirs[0]?.id,
      thread: theirs.includes(room) ? ui.thread : null,
    });
}

/** Clicks on message links stay on this page. */
export function followPlace(event) {
  const link = event.target.closest?.("a[data-place]");
  if (!link || event.ctrlKey || event.metaKey || event.button !== 0) return;
  event.preventDefault();
  const place = JSON.parse(link.dataset.place);
  go({ channel: place.channel, thread: place.thread ?? null, pulse: place.ts });
}

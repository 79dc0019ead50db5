// Who has read how far. Kept in this browser only, per persona: the server does not know what a person looked at.

import { repliesTo, timelineOf } from "./state.js";
import { refresh } from "./ui.js";

const KEY = "banksman-playground-read";
const opened = (Date.now() / 1000).toFixed(6);
let marks = stored();

function stored() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}

const spot = (persona, channel, thread) => [persona, channel, thread ?? ""].join(":");
const readTo = (persona, channel, thread) => marks[spot(persona, channel, thread)] ?? opened;

/** Note that everything up to `ts` was on screen. */
export function markRead(persona, channel, thread, ts) {
  if (!ts || ts <= (marks[spot(persona, channel, thread)] ?? "")) return;
  marks = { ...marks, [spot(persona, channel, thread)]: ts };
  try {
    localStorage.setItem(KEY, JSON.stringify(marks));
  } catch {
    // A browser that stores nothing only forgets what was read.
  }
  refresh();
}

/** What is new in a channel for this persona: `{ count, calls }`, where calls are mentions and direct messages. */
export function unread(persona, channel) {
  const mark = readTo(persona, channel.id);
  const fresh = timelineOf(channel.id, persona).filter((one) => one.ts > mark && one.user !== persona);
  const calls = channel.is_im ? fresh.length : fresh.filter((one) => one.text?.includes(`<@${persona}>`)).length;
  return { count: fresh.length, calls };
}

/** Whether a thread has replies this persona has not had on screen. */
export function threadIsUnread(persona, channel, root) {
  const last = repliesTo(channel, root, persona).at(-1);
  return Boolean(last && last.user !== persona && last.ts > readTo(persona, channel, root));
}

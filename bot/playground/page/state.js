// What the server has told this page: team, people, channels, messages, views.
//
// Only `events.js` writes here. Which of it is on screen, and everything a person has typed but not sent, is `ui.js`.

import { ownUrl } from "./links.js";

export const store = {
  ready: false,
  team: { id: "", name: "" },
  users: new Map(),
  channels: new Map(),
  messages: new Map(),
  views: new Map(),
  homes: new Map(),
  files: new Map(),
  sessions: [],
  streams: [],
  /** Message key -> the newest warning about a click on it, per person. */
  warnings: new Map(),
  app: {},
  commands: [],
  /** Grows when names, channels or files change: message descriptions depend on it. */
  directory: 0,
};

const keyOf = (channel, ts) => `${channel}:${ts}`;

/** Replace everything with a fresh answer of `GET /playground/state`. */
export function load(answer) {
  store.team = answer.team ?? store.team;
  store.users = new Map((answer.users ?? []).map((user) => [user.id, user]));
  store.channels = new Map((answer.channels ?? []).map((channel) => [channel.id, channel]));
  const before = store.messages;
  store.messages = new Map();
  for (const message of (answer.messages ?? []).map(localised)) {
    const key = keyOf(message.channel, message.ts);
    const known = before.get(key);
    // An unchanged message keeps its identity, so that a reconnect re-renders nothing.
    store.messages.set(key, known && JSON.stringify(known) === JSON.stringify(message) ? known : message);
    noteFiles(message);
  }
  store.views = new Map((answer.views ?? []).map((view) => [view.id, view]));
  store.homes = new Map(Object.entries(answer.homes ?? {}));
  store.app = answer.app ?? {};
  store.commands = store.app.commands ?? [];
  store.sessions = answer.sessions ?? [];
  store.streams = answer.streams ?? [];
  store.directory += 1;
  store.ready = true;
}

/** File addresses as paths: the server may call itself 127.0.0.1 while this page was opened as localhost. */
function localised(message) {
  if (!message.files?.length) return message;
  return { ...message, files: message.files.map((file) => ({ ...file, url: file.url && ownUrl(file.url) })) };
}

function noteFiles(message) {
  for (const file of message.files ?? []) {
    if (!store.files.has(file.id)) store.directory += 1;
    store.files.set(file.id, file);
  }
}

export function putMessage(given) {
  const message = localised(given);
  store.messages.set(keyOf(message.channel, message.ts), message);
  dropWarning(message.channel, message.ts);
  noteFiles(message);
}

export function dropMessage(channel, ts) {
  store.messages.delete(keyOf(channel, ts));
}

export function putChannel(channel) {
  store.channels.set(channel.id, channel);
  store.directory += 1;
}

export function putSession(session) {
  const others = store.sessions.filter((one) => one.channel !== session.channel || one.thread_ts !== session.thread_ts);
  store.sessions = [...others, session];
}

/** Whether an app is writing this message right now. */
export const isStreaming = (one) =>
  store.streams.some((stream) => stream.channel === one.channel && stream.ts === one.ts);

/** Whether a message was written by streaming: its text is Markdown then, and stands above its blocks. */
export const wasStreamed = (one) => Boolean(one.streamed);

export function putStream(stream) {
  const others = store.streams.filter((one) => one.channel !== stream.channel || one.ts !== stream.ts);
  store.streams = stream.open === false ? others : [...others, stream];
}

/** Keep a warning that belongs to a message; it goes with the next version of the message or the next click. */
export function putWarning(notice) {
  if (notice.channel && notice.ts) store.warnings.set(keyOf(notice.channel, notice.ts), notice);
}

export const dropWarning = (channelId, ts) => store.warnings.delete(keyOf(channelId, ts));

export function warningFor(one, personaId) {
  const notice = store.warnings.get(keyOf(one.channel, one.ts));
  return notice?.user === personaId ? notice : null;
}

export function putView(view) {
  store.views.set(view.id, view);
}

export function dropView(id) {
  store.views.delete(id);
}

export const message = (channel, ts) => store.messages.get(keyOf(channel, ts));
export const user = (id) => store.users.get(id);
export const channel = (id) => store.channels.get(id);

/** People a person can act as: everyone who is not a bot. */
export const personas = () => [...store.users.values()].filter((one) => !isBot(one));
export const isBot = (one) => Boolean(one?.is_bot || one?.bot_id || one?.roles?.includes("bot"));
export const theBot = () => [...store.users.values()].find(isBot);

export function nameOf(id) {
  const one = store.users.get(id);
  return one ? one.display_name || one.real_name || one.name : id;
}

const byTs = (a, b) => (a.ts < b.ts ? -1 : a.ts > b.ts ? 1 : 0);

/** Messages of a channel this person may see, oldest first, replies left out. */
export function timelineOf(channelId, personaId) {
  return visible(channelId, personaId).filter(inTimeline).sort(byTs);
}

const inTimeline = (one) => !one.thread_ts || one.thread_ts === one.ts || one.subtype === "thread_broadcast";

/** Replies under a root message, oldest first. */
export function repliesTo(channelId, rootTs, personaId) {
  return visible(channelId, personaId)
    .filter((one) => one.thread_ts === rootTs && one.ts !== rootTs)
    .sort(byTs);
}

function visible(channelId, personaId) {
  const out = [];
  for (const one of store.messages.values()) {
    if (one.channel === channelId && (!one.ephemeral_to || one.ephemeral_to === personaId)) out.push(one);
  }
  return out;
}

/** Channels a person may look into: not other people's direct messages, nor private ones they are not in. */
export function channelsOf(personaId) {
  const isGuest = Boolean(store.users.get(personaId)?.is_restricted);
  return [...store.channels.values()].filter((one) => {
    if (one.is_im) return one.user === personaId;
    return !(one.is_private || isGuest) || (one.members ?? []).includes(personaId);
  });
}

/** The direct message between this person and the bot, if it exists yet. */
export const directOf = (personaId) => channelsOf(personaId).find((one) => one.is_im);

/** Open views of a person, bottom of the stack first. */
export const viewsOf = (personaId) => [...store.views.values()].filter((one) => one.user === personaId);

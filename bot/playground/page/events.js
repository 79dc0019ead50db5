// The live connection: reads the whole state once, then follows the server's numbered changes.
//
// A gap in the numbers, a reconnect or a kind of change this page does not know means: read the whole state again.

import { get } from "./control.js";
import { toast } from "./notices.js";
import {
  dropMessage,
  dropView,
  load,
  putChannel,
  putMessage,
  putSession,
  putStream,
  putView,
  putWarning,
  store,
} from "./state.js";
import { forget, viewSurface } from "./forms.js";
import { refresh, touch, ui } from "./ui.js";

const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 8000;

let source = null;
let expected = null;
let wait = FIRST_WAIT_MS;
let reloading = false;
let held = [];
let afterLoad = () => {};

/** Start following; `loaded` is called after each full read. */
export function follow(loaded) {
  afterLoad = loaded;
  connect();
  addEventListener("online", () => ui.connection !== "live" && connect());
}

function connect() {
  source?.close();
  source = new EventSource("/playground/events");
  source.onopen = () => {
    wait = FIRST_WAIT_MS;
    expected = null;
    reload();
  };
  source.onmessage = (event) => receive(JSON.parse(event.data));
  source.onerror = () => {
    source.close();
    ui.connection = "lost";
    refresh();
    // A little randomness, so that many open pages do not all knock at once when the server is back.
    setTimeout(connect, wait * (0.75 + Math.random() / 2));
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  };
}

/** Read everything. What changes meanwhile waits, and is applied on top if the reading is older. */
export function reload() {
  if (reloading) return;
  reloading = true;
  get("state")
    .then((answer) => {
      load(answer);
      ui.connection = "live";
      const later = held.filter((change) => change.seq > (answer.seq ?? 0));
      reloading = false;
      held = [];
      later.forEach(apply);
      afterLoad();
    })
    .catch(() => {
      reloading = false;
      ui.connection = "lost";
      setTimeout(reload, wait);
    })
    .finally(refresh);
}

const HANDLERS = {
  hello: () => {},
  message: (change) => putMessage(change),
  message_deleted: (change) => dropMessage(change.channel, change.ts),
  // The message itself was sent just before.
  reaction: () => {},
  channel: (change) => putChannel(change),
  view: (change) => {
    putView(change);
    touch(viewSurface(change));
  },
  view_closed: (change) => {
    forget(viewSurface(change));
    dropView(change.id);
  },
  home: (change) => store.homes.set(change.user, change.view),
  notice: (change) => {
    putWarning(change);
    if (!change.user || change.user === ui.persona) toast(change.text, "warning");
  },
  session: (change) => putSession(change),
  stream: (change) => putStream(change),
};

function apply(change) {
  if (Object.hasOwn(HANDLERS, change.type)) HANDLERS[change.type](change);
  else reload();
}

function receive(change) {
  const gap = expected !== null && change.seq !== expected && change.type !== "hello";
  expected = change.seq + 1;
  if (gap) reload();
  if (reloading) held.push(change);
  else apply(change);
  refresh();
}

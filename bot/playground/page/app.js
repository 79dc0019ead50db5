// The page put together: what stands where, what the keyboard does, and when to draw.

import { openDirect, visitHome } from "./act.js";
import { composer } from "./composer.js";
import { confirmLayer, dismissConfirm } from "./confirm.js";
import { h, mount } from "./dom.js";
import { dropTarget, guardDrops } from "./drop.js";
import { follow } from "./events.js";
import { homePane } from "./home.js";
import { icon } from "./icons.js";
import { closePicture, lightboxLayer } from "./lightbox.js";
import { closeMenu, menuLayer, placeMenu } from "./menu.js";
import { closeTop, modalLayer, topView } from "./modal.js";
import { toast, toastLayer } from "./notices.js";
import { personaButton } from "./persona.js";
import { unread } from "./reading.js";
import { followPlace, go, readHash, readQuery } from "./route.js";
import { unstick } from "./scroller.js";
import { connectionMark, sidebar } from "./sidebar.js";
import { channel, channelsOf, directOf, nameOf, store, theBot } from "./state.js";
import { threadPane } from "./thread.js";
import { timeline } from "./timeline.js";
import { onDraw, refresh, ui } from "./ui.js";

const shell = document.getElementById("shell");
const layers = document.getElementById("layers");

function bar(title, note, lead) {
  return h(
    "header",
    { class: "bar", key: "bar" },
    h(
      "button",
      {
        type: "button",
        class: "iconbutton drawer-open",
        "aria-label": "Open menu",
        "data-testid": "open-drawer",
        onclick: () => {
          ui.drawer = true;
          refresh();
        },
      },
      icon("menu"),
    ),
    h(
      "div",
      { class: "bar-title" },
      lead,
      h("h1", null, h("bdi", null, title)),
      note ? h("bdi", { class: "bar-note" }, note) : null,
    ),
    h("div", { class: "bar-side" }, connectionMark(), personaButton()),
  );
}

function columns() {
  if (ui.place.kind === "home") {
    return [
      h("main", { class: "main", key: "home" }, bar(`${nameOf(theBot()?.id)} · Home`, null, icon("home")), homePane()),
    ];
  }
  const room = channel(ui.place.channel);
  if (!room)
    return [
      h(
        "main",
        { class: "main", key: "nowhere" },
        bar("Nowhere", null, null),
        h("p", { class: "nothing" }, "There is no channel here. Pick one on the left."),
      ),
    ];
  const title = room.is_im ? nameOf(theBot()?.id) : room.name;
  return [
    h(
      "main",
      { class: `main${ui.thread ? " has-thread" : ""}`, key: "room", ...dropTarget(room, null) },
      bar(title, room.is_im ? "Direct message" : room.topic, room.is_im ? null : icon("hash")),
      timeline(room),
      composer(room),
      ui.dropping === "main"
        ? h(
            "div",
            { class: "dropzone", key: "drop" },
            h("span", null, `Drop to attach to ${room.is_im ? "this message" : `#${room.name}`}`),
          )
        : null,
    ),
    ui.thread
      ? h(
          "div",
          { class: "thread-column", key: `thread-${ui.thread}`, ...dropTarget(room, ui.thread) },
          threadPane(room),
          ui.dropping === ui.thread
            ? h("div", { class: "dropzone", key: "drop" }, h("span", null, "Drop to attach to your reply"))
            : null,
        )
      : null,
  ];
}

function title() {
  if (!store.ready) return;
  const waiting = channelsOf(ui.persona).reduce((sum, one) => sum + unread(ui.persona, one).calls, 0);
  const place = ui.place.kind === "home" ? "Home" : channel(ui.place.channel)?.name || "Direct message";
  const text = `${waiting ? `(${waiting}) ` : ""}${place} · ${store.team.name}`;
  if (document.title !== text) document.title = text;
}

function draw() {
  if (!store.ready) {
    mount(
      shell,
      h(
        "div",
        { class: "waiting", role: "status" },
        ui.connection === "lost" ? "The playground does not answer. Trying again…" : "Connecting…",
      ),
    );
    return;
  }
  const modal = modalLayer();
  const front = Boolean(modal || ui.confirm || ui.lightbox);
  shell.inert = front;
  mount(shell, sidebar(), columns());
  mount(
    layers,
    h("div", { key: "modal", inert: Boolean(ui.confirm || ui.lightbox) }, modal),
    confirmLayer(),
    lightboxLayer(),
    menuLayer(),
    toastLayer(),
  );
  placeMenu();
  title();
  pulse();
}

/** Bring a linked message into view and mark it for a moment. */
function pulse() {
  if (!ui.pulse) return;
  const found = document.querySelector(`.message[data-ts="${CSS.escape(ui.pulse)}"]`);
  if (!found) return;
  ui.pulse = null;
  unstick(`${ui.persona}:${ui.place.channel}`);
  requestAnimationFrame(() => {
    found.scrollIntoView({ block: "center" });
    found.classList.add("is-pulsing");
    setTimeout(() => found.classList.remove("is-pulsing"), 2500);
  });
}

/** Escape closes what is in front, one thing at a time. */
function onEscape(event) {
  if (event.key !== "Escape" || event.defaultPrevented) return;
  if (ui.menu) closeMenu();
  else if (ui.confirm) dismissConfirm();
  else if (ui.lightbox) closePicture();
  else if (topView(ui.persona)) closeTop();
  else if (ui.drawer) ui.drawer = false;
  else if (ui.thread) go({ thread: null });
  else return;
  event.preventDefault();
  refresh();
}

let visited = null;

/** Opening the home tab tells the app, once per visit and person. */
function greetHome() {
  const here = ui.place.kind === "home" ? ui.persona : null;
  if (here && here !== visited) visitHome();
  visited = here;
}

/** A link to the direct message opens it, even before anybody wrote there. */
async function openMissingDirect() {
  if (new URLSearchParams(location.hash.slice(1)).get("channel") !== "dm" || directOf(ui.persona)) return;
  const user = ui.persona;
  try {
    go({ user, channel: await openDirect() });
  } catch (error) {
    toast(error.message, "error");
  }
}

function arrive() {
  readHash();
  greetHome();
  openMissingDirect();
}

onDraw(draw);
addEventListener("hashchange", () => store.ready && arrive());
addEventListener("keydown", onEscape);
addEventListener("click", followPlace);
addEventListener("resize", () => {
  document.documentElement.classList.toggle("is-short", innerHeight < 480);
  placeMenu();
});
document.addEventListener("visibilitychange", refresh);
// "3 min ago" grows older by itself.
setInterval(refresh, 30_000);
readQuery();
guardDrops();
follow(arrive);
refresh();

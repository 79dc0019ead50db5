// The sidebar: the team, who one is, where one can go.

import { openDirect } from "./act.js";
import { avatar } from "./avatar.js";
import { h } from "./dom.js";
import { faultsPanel } from "./faults.js";
import { icon, mark } from "./icons.js";
import { toast } from "./notices.js";
import { personaSwitch } from "./persona.js";
import { unread } from "./reading.js";
import { go } from "./route.js";
import { channelsOf, directOf, nameOf, store, theBot } from "./state.js";
import { refresh, ui } from "./ui.js";

function entry({ key, lead, label, current, fresh = { count: 0, calls: 0 }, open, ...data }) {
  const marks = fresh.calls ? `, ${fresh.calls} for you` : fresh.count ? ", new messages" : "";
  return h(
    "li",
    { key },
    h(
      "button",
      {
        type: "button",
        class: `place${current ? " is-current" : ""}${fresh.count ? " is-unread" : ""}`,
        "aria-current": current ? "page" : null,
        "aria-label": `${label}${marks}`,
        onclick: open,
        ...data,
      },
      lead,
      h("bdi", { class: "place-name" }, label),
      fresh.calls ? h("span", { class: "count", "aria-hidden": "true" }, fresh.calls) : null,
    ),
  );
}

function room(one) {
  const current = ui.place.kind === "channel" && ui.place.channel === one.id;
  return entry({
    key: one.id,
    lead: icon("hash"),
    label: one.name,
    current,
    fresh: unread(ui.persona, one),
    open: () => go({ channel: one.id }),
    "data-testid": "channel",
    "data-channel": one.id,
  });
}

async function visitDirect() {
  const direct = directOf(ui.persona);
  if (direct) return go({ channel: direct.id });
  try {
    const id = await openDirect();
    return go({ channel: id });
  } catch (error) {
    return toast(error.message, "error");
  }
}

function app() {
  const bot = theBot();
  if (!bot) return null;
  const direct = directOf(ui.persona);
  const name = nameOf(bot.id);
  return [
    h("h2", { class: "sidebar-label" }, "App"),
    h(
      "ul",
      { class: "places" },
      entry({
        key: "dm",
        lead: avatar(bot.id, { size: "tiny" }),
        label: name,
        current: Boolean(direct) && ui.place.kind === "channel" && ui.place.channel === direct.id,
        fresh: direct ? unread(ui.persona, direct) : undefined,
        open: visitDirect,
        "data-testid": "direct",
        "data-channel": direct?.id,
      }),
      entry({
        key: "home",
        lead: icon("home"),
        label: "Home",
        current: ui.place.kind === "home",
        open: () => go({ home: true }),
        "data-testid": "home",
      }),
    ),
  ];
}

const CONNECTION = { live: "Live", connecting: "Connecting…", lost: "Connection lost, trying again…" };

/** Whether the page follows the server right now. */
export function connectionMark() {
  return h(
    "span",
    {
      class: `connection connection-${ui.connection}`,
      role: "status",
      "data-testid": "connection",
      "data-state": ui.connection,
      title: CONNECTION[ui.connection],
    },
    h("span", { class: "connection-dot" }),
    h("span", { class: "connection-word" }, CONNECTION[ui.connection]),
  );
}

export function sidebar() {
  const rooms = channelsOf(ui.persona).filter((one) => !one.is_im && !one.is_archived);
  return [
    h("div", {
      class: `drawer-shade${ui.drawer ? " is-open" : ""}`,
      key: "shade",
      onclick: () => {
        ui.drawer = false;
        refresh();
      },
    }),
    h(
      "nav",
      { class: `sidebar${ui.drawer ? " is-open" : ""}`, key: "sidebar", "aria-label": "Team" },
      h(
        "div",
        { class: "team" },
        h("span", { class: "team-mark" }, mark()),
        h("bdi", { class: "team-name" }, store.team.name || "Team"),
        h(
          "button",
          {
            type: "button",
            class: "iconbutton drawer-close",
            "aria-label": "Close menu",
            onclick: () => {
              ui.drawer = false;
              refresh();
            },
          },
          icon("close"),
        ),
      ),
      personaSwitch(),
      h(
        "div",
        { class: "sidebar-scroll" },
        h("h2", { class: "sidebar-label" }, "Channels"),
        h("ul", { class: "places" }, rooms.map(room)),
        app(),
      ),
      h("div", { class: "sidebar-foot" }, faultsPanel(), connectionMark()),
    ),
  ];
}

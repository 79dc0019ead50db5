// Trouble on request: what the playground can be told to do wrong, and what it has been told.

import { listFaults, setFault } from "./act.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { toast } from "./notices.js";
import { channelsOf } from "./state.js";
import { refresh, ui } from "./ui.js";

// kind -> what it does, and the fields it takes
const KINDS = {
  429: ["Answer “too many requests”", ["method", "count", "retry_after"]],
  500: ["Answer with a server error", ["method", "count"]],
  hang: ["Hang before answering", ["method", "count", "seconds"]],
  refuse: ["Refuse a call", ["method", "count", "error"]],
  lose_reply: ["Do it, but lose the reply", ["method", "count"]],
  duplicate: ["Deliver events twice", ["count"]],
  delay: ["Deliver late", ["count", "seconds"]],
  lose_ack: ["Lose the app's acknowledgement", ["count"]],
  reverse_mention: ["Deliver mention and message in reverse", ["count"]],
  lose_upload: ["Lose an uploaded file", ["count"]],
  expire_streams: ["End every stream now", []],
  drop_socket: ["Drop the socket now", []],
  disconnect: ["Announce a disconnect now", []],
  revoke_token: ["Revoke the app's token", []],
  restore_token: ["Restore the app's token", []],
  archive_channel: ["Archive a channel", ["channel"]],
  unarchive_channel: ["Unarchive a channel", ["channel"]],
  remove_bot: ["Remove the bot from a channel", ["channel"]],
  invite_bot: ["Invite the bot to a channel", ["channel"]],
};
const FIELDS = {
  method: { label: "Method (empty = any)", type: "text", placeholder: "chat.update" },
  count: { label: "Times", type: "number", number: true, value: "1" },
  error: { label: "Error", type: "text", placeholder: "unknown_method" },
  retry_after: { label: "Retry after, s", type: "number", number: true, value: "1" },
  seconds: { label: "Seconds", type: "number", number: true, value: "5" },
};

const local = { state: { faults: [] }, kind: "429", values: {}, failure: null };

async function read() {
  try {
    local.state = await listFaults();
    local.failure = null;
  } catch (error) {
    local.failure = error.message;
  }
  refresh();
}

function open() {
  ui.faultsOpen = !ui.faultsOpen;
  if (ui.faultsOpen) read();
  refresh();
}

async function send(fault) {
  try {
    local.state = await setFault(fault);
    toast(`Done: ${KINDS[fault.kind]?.[0] ?? "all faults cleared"}.`);
  } catch (error) {
    toast(error.message, "error");
  }
  refresh();
}

const held = (name) => local.values[name] ?? FIELDS[name]?.value ?? (name === "channel" ? ui.place.channel : "");

function submit(event) {
  event.preventDefault();
  const fault = { kind: local.kind };
  for (const name of KINDS[local.kind][1]) {
    const value = held(name);
    if (value !== "" && value !== null) fault[name] = FIELDS[name]?.number ? Number(value) : value;
  }
  send(fault);
}

function field(name) {
  const put = (event) => {
    local.values[name] = event.target.value;
    refresh();
  };
  if (name === "channel") {
    const rooms = channelsOf(ui.persona).filter((one) => !one.is_im);
    return h(
      "label",
      { key: name },
      "Channel",
      h(
        "select",
        { class: "field-input", onchange: put, value: held(name) },
        rooms.map((one) => h("option", { key: one.id, value: one.id }, `#${one.name}`)),
      ),
    );
  }
  const { label, type, placeholder } = FIELDS[name];
  return h(
    "label",
    { key: name },
    label,
    h("input", {
      class: "field-input",
      type,
      placeholder,
      min: type === "number" ? "0" : null,
      step: type === "number" ? "any" : null,
      value: held(name),
      oninput: put,
    }),
  );
}

function describe(fault) {
  const notes = ["method", "channel", "delivery", "event"].filter((name) => fault[name]).map((name) => fault[name]);
  const times = fault.count === null ? "always" : `${fault.count} more`;
  return [h("strong", null, KINDS[fault.kind]?.[0] ?? fault.kind), ` (${[...notes, times].join(", ")})`];
}

function standing() {
  const { faults, token_revoked, connections } = local.state;
  return [
    ...(faults ?? []).map((fault) => h("li", { key: fault.id, "data-testid": "fault" }, describe(fault))),
    token_revoked ? h("li", { key: "revoked" }, h("strong", null, "The app's token is revoked")) : null,
    connections === 0 ? h("li", { key: "alone" }, "No app is connected by socket") : null,
  ].filter(Boolean);
}

function panel() {
  const listed = standing();
  return h(
    "div",
    { class: "faults-body" },
    h("p", { class: "faults-note" }, "Make this Slack misbehave towards the app, to see what it does."),
    local.failure ? h("p", { class: "field-error" }, local.failure) : null,
    listed.length ? h("ul", { class: "faults-list" }, listed) : h("p", { class: "faults-note" }, "All is well."),
    h(
      "form",
      { class: "faults-form", onsubmit: submit },
      h(
        "label",
        { class: "faults-kind" },
        "Fault",
        h(
          "select",
          {
            class: "field-input",
            "data-testid": "fault-kind",
            onchange: (event) => {
              local.kind = event.target.value;
              refresh();
            },
            value: local.kind,
          },
          Object.entries(KINDS).map(([kind, [label]]) => h("option", { key: kind, value: kind }, label)),
        ),
      ),
      KINDS[local.kind][1].map(field),
      h(
        "div",
        { class: "faults-buttons" },
        h(
          "button",
          { type: "button", class: "button", "data-testid": "fault-clear", onclick: () => send({ kind: "clear" }) },
          "Clear all",
        ),
        h("button", { type: "submit", class: "button danger", "data-testid": "fault-set" }, "Set"),
      ),
    ),
  );
}

export function faultsPanel() {
  const count = (local.state.faults ?? []).length + (local.state.token_revoked ? 1 : 0);
  return h(
    "section",
    { class: "faults", "data-testid": "faults" },
    h(
      "button",
      {
        type: "button",
        class: "faults-head",
        "aria-expanded": String(ui.faultsOpen),
        "data-testid": "faults-toggle",
        onclick: open,
      },
      icon("bolt"),
      h("span", null, "Faults"),
      count ? h("span", { class: "count" }, count) : null,
      icon("down", ui.faultsOpen ? "" : "turned"),
    ),
    ui.faultsOpen ? panel() : null,
  );
}

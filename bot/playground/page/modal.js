// Views that an app opened for the persona: the top of the stack as a dialog, its fields, errors, submit and close.

import { closeView, submitView, viewSender } from "./act.js";
import { renderBlocks } from "./blocks/index.js";
import { ask } from "./confirm.js";
import { Memo, focusSoon, h } from "./dom.js";
import { forget, isTouched, problemsOf, valuesOf, viewSurface } from "./forms.js";
import { icon } from "./icons.js";
import { textLine } from "./mrkdwn.js";
import { dropView, store, viewsOf } from "./state.js";
import { suggestions } from "./suggest.js";
import { afterDraw, refresh, revision, touch, ui } from "./ui.js";

const memo = new Memo();
const local = new Map(); // view id -> { errors, failure, sending, told, edited }

/** Errors of the last submission, the page's own and the app's, until a field is edited. */
function stateOf(entry) {
  if (!local.has(entry.id))
    local.set(entry.id, { errors: {}, failure: null, sending: false, told: null, edited: new Set() });
  return local.get(entry.id);
}

/** The view on top: the one that no other open view was pushed over. */
export function topView(persona) {
  const open = viewsOf(persona);
  const below = new Set(open.map((one) => one.previous_id ?? one.view?.previous_view_id).filter(Boolean));
  return open.filter((one) => !below.has(one.id)).at(-1) ?? null;
}

const depthOf = (persona) => viewsOf(persona).length;

async function submit(entry) {
  const surface = viewSurface(entry);
  const mine = stateOf(entry);
  if (mine.sending || !entry.view.submit) return;
  mine.errors = problemsOf(surface, entry.view.blocks);
  mine.failure = null;
  mine.edited = new Set();
  if (Object.keys(mine.errors).length) {
    showFirstError(surface);
    return;
  }
  mine.sending = true;
  touch(surface);
  try {
    const answer = await submitView(entry.id, valuesOf(surface, entry.view.blocks));
    mine.errors = answer.errors ?? {};
    if (answer.acked === false)
      mine.failure = [answer.notice?.text, ...(answer.messages ?? [])].filter(Boolean).join(" ");
    if (Object.keys(mine.errors).length) showFirstError(surface);
  } catch (error) {
    mine.failure = error.message;
    mine.errors = error.body?.errors ?? {};
  } finally {
    mine.sending = false;
    touch(surface);
  }
}

function showFirstError(surface) {
  touch(surface);
  afterDraw(() => document.querySelector(".modal .has-error")?.querySelector("input, textarea, button")?.focus());
}

/** Close the top view (or the whole stack); what was typed is lost only after a yes. */
export async function closeTop({ all = false } = {}) {
  const entry = topView(ui.persona);
  if (!entry) return;
  const surface = viewSurface(entry);
  if (
    isTouched(surface) &&
    entry.view.submit &&
    !(await ask({
      title: "Close without sending?",
      text: "What you filled in here will be lost.",
      confirm: "Close",
      deny: "Keep editing",
      style: "danger",
    }))
  )
    return;
  const clear = all || depthOf(ui.persona) === 1;
  if (await closeView(entry.id, clear)) {
    forget(surface);
    for (const one of clear ? viewsOf(ui.persona) : [entry]) {
      local.delete(one.id);
      dropView(one.id);
    }
    refresh();
  }
}

function errorsOf(entry) {
  const mine = stateOf(entry);
  const theirs = entry.errors ?? {};
  // The app's errors stay until the next submission, except for fields edited since.
  return { ...Object.fromEntries(Object.entries(theirs).filter(([id]) => !mine.edited.has(id))), ...mine.errors };
}

function draw(entry) {
  const { view } = entry;
  const surface = viewSurface(entry);
  const mine = stateOf(entry);
  const errors = errorsOf(entry);
  const ctx = {
    surface,
    me: ui.persona,
    scope: "view",
    errors,
    send: viewSender(entry.id, view.blocks, surface),
    submit: () => submit(entry),
    suggest: (block, element, query) =>
      suggestions({ view_id: entry.id, block_id: block.block_id, action_id: element.action_id, value: query }),
    edited: (block) => {
      if (!errors[block.block_id]) return;
      delete mine.errors[block.block_id];
      mine.edited.add(block.block_id);
      touch(surface);
    },
  };
  const stacked = depthOf(ui.persona) > 1;
  const blockIds = new Set((view.blocks ?? []).map((block) => block.block_id));
  const stray = Object.entries(errors)
    .filter(([id]) => !blockIds.has(id))
    .map(([, text]) => text);
  return h(
    "div",
    { key: `view-${entry.id}`, class: "overlay" },
    h(
      "form",
      {
        class: "modal",
        role: "dialog",
        "aria-modal": "true",
        "aria-labelledby": "modal-title",
        "data-testid": "modal",
        "data-view-id": entry.id,
        novalidate: true,
        onsubmit: (event) => {
          event.preventDefault();
          submit(entry);
        },
        created: (el) =>
          focusSoon(() =>
            el.contains(document.activeElement)
              ? null
              : (el.querySelector(".modal-body :is(input, textarea, select, button)") ??
                el.querySelector(".modal-close")),
          ),
      },
      h(
        "header",
        { class: "modal-head" },
        stacked
          ? h(
              "button",
              {
                type: "button",
                class: "iconbutton turn-left",
                "aria-label": "Back",
                title: "Back",
                onclick: () => closeTop(),
              },
              icon("down"),
            )
          : null,
        h("h2", { id: "modal-title", class: "dialog-title" }, textLine(view.title)),
        h(
          "button",
          {
            type: "button",
            class: "iconbutton modal-close",
            "aria-label": "Close",
            title: "Close (Esc)",
            "data-testid": "modal-close",
            onclick: () => closeTop({ all: true }),
          },
          icon("close"),
        ),
      ),
      h(
        "div",
        { class: "modal-body" },
        mine.failure
          ? h(
              "div",
              { class: "composer-error", role: "alert", "data-testid": "modal-error" },
              icon("warning"),
              h("bdi", null, mine.failure),
            )
          : null,
        stray.map((text) =>
          h("div", { class: "composer-error", role: "alert" }, icon("warning"), h("bdi", null, text)),
        ),
        h("div", { class: "blocks" }, renderBlocks(view.blocks, ctx)),
      ),
      view.submit || view.close
        ? h(
            "footer",
            { class: "dialog-buttons" },
            h(
              "button",
              { type: "button", class: "button", "data-testid": "modal-cancel", onclick: () => closeTop() },
              view.close ? textLine(view.close) : "Close",
            ),
            view.submit
              ? h(
                  "button",
                  {
                    type: "submit",
                    class: `button primary${mine.sending ? " is-busy" : ""}`,
                    disabled: mine.sending,
                    "data-testid": "modal-submit",
                  },
                  textLine(view.submit),
                )
              : null,
          )
        : null,
    ),
  );
}

export function modalLayer() {
  const entry = topView(ui.persona);
  if (!entry) return null;
  const mine = stateOf(entry);
  const told = JSON.stringify(entry.errors ?? {});
  if (mine.told !== told) {
    mine.told = told;
    mine.edited = new Set();
  }
  const surface = viewSurface(entry);
  const open = ui.menu?.key.startsWith(surface) ? ui.menu.key : null;
  return memo.get(entry.id, [entry, ui.persona, depthOf(ui.persona), revision(surface), store.directory, open], () =>
    draw(entry),
  );
}

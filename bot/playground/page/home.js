// The app's home tab for the persona.

import { viewSender } from "./act.js";
import { avatar } from "./avatar.js";
import { renderBlocks } from "./blocks/index.js";
import { h } from "./dom.js";
import { homeSurface } from "./forms.js";
import { nameOf, store, theBot } from "./state.js";
import { suggestions } from "./suggest.js";
import { ui } from "./ui.js";

/** The column that shows the home view; an app that has published none is said to have none. */
export function homePane() {
  const bot = theBot();
  const view = store.homes.get(ui.persona);
  const surface = homeSurface();
  const id = view?.id;
  const ctx = {
    surface,
    me: ui.persona,
    scope: "home",
    send: viewSender(id, view?.blocks, surface),
    suggest: (block, element, query) =>
      suggestions({ view_id: id, block_id: block.block_id, action_id: element.action_id, value: query }),
  };
  return h(
    "div",
    { class: "scrollbox" },
    h(
      "div",
      {
        class: "scroll",
        key: `home-${ui.persona}`,
        tabindex: "0",
        "data-testid": "home-view",
        "data-user": ui.persona,
      },
      h(
        "div",
        { class: "home" },
        view?.blocks?.length
          ? h("div", { class: "blocks" }, renderBlocks(view.blocks, ctx))
          : h(
              "div",
              { class: "beginning" },
              avatar(bot?.id ?? "B"),
              h("h2", null, h("bdi", null, nameOf(bot?.id ?? "App"))),
              h("p", null, "Nothing is shown here yet. The app fills this page when it is running and answers."),
            ),
      ),
    ),
  );
}

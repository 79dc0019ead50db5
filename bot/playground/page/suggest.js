// Options for external selects, asked of the app through the server.

import { post } from "./control.js";
import { ui } from "./ui.js";

/** The app's options for what was typed so far: options, or groups of options. */
export async function suggestions(where) {
  const answer = await post("options", { user: ui.persona, ...where });
  return answer.option_groups ?? answer.options ?? [];
}

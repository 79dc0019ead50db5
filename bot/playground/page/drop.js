// Files dropped anywhere on a column go to that column's composer.

import { attach } from "./composer.js";
import { filesIn } from "./upload.js";
import { refresh, ui } from "./ui.js";

const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");

/** Properties for a column that takes drops. `thread` is the root's ts in the thread pane. */
export function dropTarget(channel, thread) {
  const name = thread ?? "main";
  return {
    ondragover: (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      if (ui.dropping !== name) {
        ui.dropping = name;
        refresh();
      }
    },
    ondragleave: (event) => {
      if (event.currentTarget?.contains(event.relatedTarget)) return;
      ui.dropping = null;
      refresh();
    },
    ondrop: (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      ui.dropping = null;
      attach(channel.id, thread, filesIn(event.dataTransfer));
    },
  };
}

/** A file dropped beside a target must not replace the page. */
export function guardDrops() {
  for (const type of ["dragover", "drop"])
    addEventListener(type, (event) => carriesFiles(event) && event.preventDefault());
}

// The file_input element of views: files a person picks, sent along with the submission.

import { h } from "../dom.js";
import { fieldValue, setField } from "../forms.js";
import { icon } from "../icons.js";
import { fileSize } from "../time.js";
import { encoded } from "../upload.js";

/** Picked files are held as `{name, size, content_base64}` until the view is submitted. */
export function fileInput(element, block, ctx) {
  const files = fieldValue(ctx.surface, block.block_id, element).files;
  const most = element.max_files ?? 10;
  const put = (next) => setField(ctx.surface, block.block_id, element, { files: next.slice(0, most) });
  return h(
    "div",
    { class: "file-input" },
    h(
      "label",
      { class: "button" },
      icon("clip"),
      most === 1 ? "Choose a file" : `Choose up to ${most} files`,
      h("input", {
        type: "file",
        class: "visually-hidden",
        multiple: most > 1,
        accept: element.filetypes?.map((type) => `.${type}`).join(",") || null,
        "data-action-id": element.action_id,
        onchange: async (event) => {
          const picked = [...event.target.files];
          event.target.value = "";
          put([...files, ...(await Promise.all(picked.map(encoded)))]);
        },
      }),
    ),
    h(
      "div",
      { class: "chips" },
      files.map((file, i) =>
        h(
          "span",
          { class: "chip", key: `${file.name}-${i}` },
          h("bdi", null, file.name),
          h("span", { class: "chip-note" }, fileSize(file.size)),
          h(
            "button",
            {
              type: "button",
              class: "chip-remove",
              "aria-label": `Remove ${file.name}`,
              onclick: () => put(files.filter((other) => other !== file)),
            },
            icon("close"),
          ),
        ),
      ),
    ),
  );
}

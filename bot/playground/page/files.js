// Files under a message: pictures in place, the first lines of texts and tables, cards for everything else.

import { h } from "./dom.js";
import { icon } from "./icons.js";
import { showPicture } from "./lightbox.js";
import { fileSize } from "./time.js";
import { refresh, touch } from "./ui.js";

const PICTURES = new Set([
  "image/png",
  "image/jpeg",
  "image/gif",
  "image/webp",
  "image/svg+xml",
  "image/bmp",
  "image/avif",
]);
const TEXT_TYPE = /^(?:text\/|application\/(?:json|x-ndjson|xml|yaml|x-yaml|toml|javascript|x-sh|x-patch)\b)/;
const TEXT_NAME = /\.(?:txt|md|csv|tsv|json|ya?ml|toml|xml|log|py|js|ts|sh|sql|diff|patch|ini|cfg)$/i;
const PREVIEW_BYTES = 6000;
const PREVIEW_LINES = 6;
const TABLE_COLUMNS = 8;

const previews = new Map(); // file id -> { text } | { failed } | "loading"

export const isPicture = (file) => PICTURES.has(file.mimetype);
const isText = (file) => !isPicture(file) && (TEXT_TYPE.test(file.mimetype ?? "") || TEXT_NAME.test(file.name ?? ""));
const isTable = (file) => /csv|tab-separated/.test(file.mimetype ?? "") || /\.(?:csv|tsv)$/i.test(file.name ?? "");

async function loadPreview(file, surface) {
  if (!file.size) {
    // There is no range of nothing to ask for.
    previews.set(file.id, { text: "" });
    return;
  }
  previews.set(file.id, "loading");
  try {
    const response = await fetch(file.url, { headers: { Range: `bytes=0-${PREVIEW_BYTES - 1}` } });
    if (!response.ok) throw new Error(String(response.status));
    const reader = response.body.getReader();
    const decoder = new TextDecoder("utf-8", { fatal: false });
    let text = "";
    for (let read = 0; read < PREVIEW_BYTES;) {
      const { done, value } = await reader.read();
      if (done) break;
      read += value.length;
      text += decoder.decode(value, { stream: true });
    }
    await reader.cancel();
    // Bytes that are not text say so: a preview full of replacement marks helps nobody.
    const strange = (text.match(/[\u0000-\u0008\ufffd]/g) ?? []).length;
    previews.set(file.id, strange > text.length / 50 ? { failed: true } : { text: text.slice(0, PREVIEW_BYTES) });
  } catch {
    previews.set(file.id, { failed: true });
  }
  touch(surface);
  refresh();
}

/** One line of a CSV, with quotes understood. Lines broken inside quotes are cut at the break; this is a preview. */
function fieldsOf(line, separator) {
  const out = [];
  let field = "";
  let quoted = false;
  for (let i = 0; i < line.length; i += 1) {
    const char = line[i];
    if (char === '"') {
      if (quoted && line[i + 1] === '"') {
        field += '"';
        i += 1;
      } else quoted = !quoted;
    } else if (char === separator && !quoted) {
      out.push(field);
      field = "";
    } else field += char;
  }
  out.push(field);
  return out;
}

function tablePreview(lines, separator) {
  const rows = lines.map((line) => fieldsOf(line, separator).slice(0, TABLE_COLUMNS));
  const [head, ...body] = rows;
  const row = (cells, tag) =>
    h(
      "tr",
      null,
      cells.map((cell) => h(tag, null, h("bdi", null, cell))),
    );
  return h(
    "div",
    { class: "tablebox file-table", tabindex: "0" },
    h(
      "table",
      null,
      h("thead", null, row(head, "th")),
      h(
        "tbody",
        null,
        body.map((cells) => row(cells, "td")),
      ),
    ),
  );
}

function preview(file, surface) {
  const known = previews.get(file.id);
  if (!known) loadPreview(file, surface);
  if (!known || known === "loading") return h("div", { class: "file-preview is-loading" }, "…");
  if (known.failed || !known.text) return null;
  const lines = known.text.split(/\r?\n/);
  const cut = lines.length > PREVIEW_LINES || known.text.length >= PREVIEW_BYTES;
  const shown = lines.slice(0, PREVIEW_LINES).map((line) => (line.length > 400 ? `${line.slice(0, 400)}…` : line));
  const filled = shown.filter((line) => line.trim());
  const separator = /\.tsv$/i.test(file.name) ? "\t" : filled[0]?.includes(";") && !filled[0].includes(",") ? ";" : ",";
  const body =
    isTable(file) && filled.length > 1
      ? tablePreview(filled, separator)
      : h("pre", { class: "file-preview", tabindex: "0" }, h("code", null, shown.join("\n")));
  return h("div", { class: "file-peek" }, body, cut ? h("div", { class: "file-more" }, "The first lines only") : null);
}

/** A card with name, size and a download link. */
export function fileCard(file) {
  return h(
    "div",
    { class: "filecard" },
    h("span", { class: "filecard-icon" }, icon("file")),
    h(
      "span",
      { class: "filecard-text" },
      h("bdi", { class: "filecard-name", title: file.name }, file.name),
      h("span", { class: "filecard-note" }, [fileSize(file.size), file.mimetype].filter(Boolean).join(" · ")),
    ),
    file.url
      ? h(
          "a",
          {
            class: "iconbutton",
            href: file.url,
            download: file.name,
            "aria-label": `Download ${file.name}`,
            title: "Download",
          },
          icon("download"),
        )
      : null,
  );
}

function picture(file) {
  return h(
    "figure",
    { class: "picture" },
    h(
      "figcaption",
      { class: "picture-title" },
      h("bdi", null, file.name),
      h("span", { class: "filecard-note" }, ` ${fileSize(file.size)}`),
    ),
    h(
      "button",
      {
        type: "button",
        class: "picture-button",
        "aria-label": `Enlarge ${file.name}`,
        onclick: () => showPicture({ url: file.url, name: file.name }),
      },
      h("img", {
        src: file.url,
        alt: file.alt_text || file.name,
        class: "picture-img",
        width: file.original_w,
        height: file.original_h,
      }),
    ),
  );
}

/** All files of a message. */
export function filesOf(one, surface) {
  if (!one.files?.length) return null;
  return h(
    "div",
    { class: "files" },
    one.files.map((file) =>
      h(
        "div",
        { class: "file", key: file.id, "data-file-id": file.id, "data-testid": "file", "data-name": file.name },
        isPicture(file) && file.url ? picture(file) : fileCard(file),
        isText(file) && file.url ? preview(file, surface) : null,
      ),
    ),
  );
}

// Pictures, videos, calls and remote files. This page loads nothing from other hosts, so a picture that lives elsewhere
// is shown as a link with its description.

import { h } from "../dom.js";
import { fileCard } from "../files.js";
import { icon } from "../icons.js";
import { showPicture } from "../lightbox.js";
import { anchor, ownUrl } from "../links.js";
import { textLine, textOf } from "../mrkdwn.js";
import { store } from "../state.js";

/** Where the picture of an image block or element can be loaded from, or `null` when only a link is possible. */
function source(one) {
  if (one.slack_file) {
    const wanted = one.slack_file;
    const file = wanted.id
      ? store.files.get(wanted.id)
      : [...store.files.values()].find((known) => [known.url, known.url_private, known.permalink].includes(wanted.url));
    return file?.url ?? ownUrl(wanted.url);
  }
  return one.image_url?.startsWith("data:image/") ? one.image_url : ownUrl(one.image_url);
}

/** A small picture inside other blocks. */
export function imageElement(one, className) {
  const url = source(one);
  const alt = one.alt_text ?? "";
  if (url) return h("img", { class: className, src: url, alt, title: alt || null, loading: "lazy" });
  return h(
    "span",
    {
      class: `${className} picture-away`,
      role: "img",
      "aria-label": alt,
      title: `${alt} (${one.image_url ?? "not here yet"})`,
    },
    icon("eye"),
  );
}

/** The `image` block. */
export function imageBlock(block) {
  const url = source(block);
  const title = block.title ? h("figcaption", { class: "picture-title" }, textLine(block.title)) : null;
  if (!url) {
    const where = block.image_url
      ? anchor(block.image_url, h("bdi", null, new URL(block.image_url, location.origin).hostname))
      : "a file that is not here yet";
    return h(
      "figure",
      { class: "block picture" },
      title,
      h(
        "div",
        { class: "picture-away picture-box" },
        icon("eye"),
        h("span", null, h("bdi", null, block.alt_text || "Picture"), " · ", where),
      ),
    );
  }
  return h(
    "figure",
    { class: "block picture" },
    title,
    h(
      "button",
      {
        type: "button",
        class: "picture-button",
        "aria-label": `Enlarge: ${block.alt_text || textOf(block.title) || "picture"}`,
        onclick: () => showPicture({ url, name: textOf(block.title) || block.alt_text || "Picture" }),
      },
      h("img", { src: url, alt: block.alt_text ?? "", class: "picture-img" }),
    ),
  );
}

/** The `video` block: a card that leads to the video; nothing is embedded. */
export function video(block) {
  const thumb = ownUrl(block.thumbnail_url);
  return h(
    "div",
    { class: "block mediacard" },
    h(
      "div",
      { class: "mediacard-thumb" },
      thumb ? h("img", { src: thumb, alt: block.alt_text ?? "" }) : null,
      h("span", { class: "mediacard-play" }, icon("play")),
    ),
    h(
      "div",
      { class: "mediacard-text" },
      h("div", { class: "card-title" }, anchor(block.title_url ?? block.video_url, textLine(block.title))),
      block.description ? h("div", { class: "card-subtitle" }, textLine(block.description)) : null,
      h(
        "div",
        { class: "mediacard-note" },
        h("bdi", null, [block.author_name, block.provider_name].filter(Boolean).join(" · ")),
      ),
    ),
  );
}

/** The `call` block. */
export function call(block) {
  const about = block.call?.v1 ?? {};
  const people = (about.all_participants ?? about.active_participants ?? []).length;
  return h(
    "div",
    { class: "block mediacard" },
    h("div", { class: "mediacard-thumb mediacard-round" }, icon("phone")),
    h(
      "div",
      { class: "mediacard-text" },
      h("div", { class: "card-title" }, h("bdi", null, about.name ?? "Call")),
      h(
        "div",
        { class: "card-subtitle" },
        about.has_ended ? "Ended" : people ? `${people} in the call` : "Not started",
      ),
      about.join_url ? h("div", { class: "mediacard-note" }, anchor(about.join_url, "Join")) : null,
    ),
  );
}

/** The `file` block: a file named by the app. */
export function fileBlock(block) {
  const known = [...store.files.values()].find(
    (file) => file.external_id === block.external_id || file.id === block.external_id,
  );
  return h(
    "div",
    { class: "block" },
    known
      ? fileCard(known)
      : h(
          "div",
          { class: "filecard" },
          icon("file"),
          h(
            "span",
            { class: "filecard-text" },
            h("bdi", { class: "filecard-name" }, block.external_id ?? "File"),
            h("span", { class: "filecard-note" }, "A file kept elsewhere"),
          ),
        ),
  );
}

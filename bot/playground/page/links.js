// Links in messages: which addresses may be followed, and which lead to a place on this very page.

import { h } from "./dom.js";

/** The address if it is one a person may follow (http, https, mailto), else `null`. Never `javascript:`. */
export function safeUrl(raw) {
  if (typeof raw !== "string") return null;
  try {
    const url = new URL(raw, location.origin);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

/** A same-origin address, for pictures: the page loads nothing from anywhere else. */
export function ownUrl(raw) {
  const url = safeUrl(raw);
  if (!url) return null;
  const parsed = new URL(url);
  return parsed.origin === location.origin || isThisServer(parsed) ? parsed.pathname + parsed.search : null;
}

// The server may name itself 127.0.0.1 while the page was opened as localhost.
const LOOPBACK = new Set(["127.0.0.1", "localhost", "[::1]"]);
const isThisServer = (url) =>
  LOOPBACK.has(url.hostname) && LOOPBACK.has(location.hostname) && url.port === location.port;

const PERMALINK = /^\/archives\/([A-Z0-9]+)(?:\/p(\d{10})(\d{6}))?/;

/** Where on this page a message link leads: `{ channel, ts?, thread? }`, or `null` for any other address. */
export function placeOf(raw) {
  const url = safeUrl(raw);
  if (!url) return null;
  const parsed = new URL(url);
  const found = PERMALINK.exec(parsed.pathname);
  if (!found || (parsed.origin !== location.origin && !isThisServer(parsed))) return null;
  const [, channel, seconds, digits] = found;
  return { channel, ts: seconds ? `${seconds}.${digits}` : null, thread: parsed.searchParams.get("thread_ts") };
}

/** An anchor, or only its label where the address is not one to follow. */
export function anchor(raw, label, props = {}) {
  const url = safeUrl(raw);
  if (!url) return h("span", { class: "deadlink", title: "This address cannot be followed." }, label);
  const place = placeOf(url);
  if (place) {
    return h("a", { ...props, href: url, title: url, "data-place": JSON.stringify(place) }, label);
  }
  return h("a", { ...props, href: url, title: url, target: "_blank", rel: "noopener noreferrer nofollow" }, label);
}

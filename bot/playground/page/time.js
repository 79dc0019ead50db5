// Times as a person reads them. Slack's ts is seconds since 1970 with six digits that only order messages.

const date = (ts) => new Date(Number.parseFloat(ts) * 1000);
const CLOCK = { hour: "2-digit", minute: "2-digit" };

export const clock = (ts) => date(ts).toLocaleTimeString([], CLOCK);

/** The same without a.m. and p.m., where there is no room for them. */
export const shortClock = (ts) => clock(ts).replace(/\s?[AP]M$/i, "");

export const exact = (ts) => date(ts).toLocaleString([], { dateStyle: "full", timeStyle: "medium" });

export const dayKey = (ts) => date(ts).toDateString();

export function dayName(ts) {
  const day = date(ts);
  const now = new Date();
  const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1);
  if (day.toDateString() === now.toDateString()) return "Today";
  if (day.toDateString() === yesterday.toDateString()) return "Yesterday";
  const year = day.getFullYear() === now.getFullYear() ? undefined : "numeric";
  return day.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long", year });
}

export function ago(ts) {
  const seconds = Date.now() / 1000 - Number.parseFloat(ts);
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (dayKey(ts) === new Date().toDateString()) return `today at ${clock(ts)}`;
  return `${dayName(ts)} at ${clock(ts)}`;
}

const DATE_TOKENS = {
  date_num: (d) => d.toISOString().slice(0, 10),
  date_slash: (d) => d.toLocaleDateString(),
  date: (d) => d.toLocaleDateString([], { dateStyle: "long" }),
  date_long: (d) => d.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long", year: "numeric" }),
  date_long_full: (d) => d.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long", year: "numeric" }),
  date_short: (d) => d.toLocaleDateString([], { dateStyle: "medium" }),
  date_short_full: (d) => d.toLocaleDateString([], { dateStyle: "medium" }),
  time: (d) => d.toLocaleTimeString([], CLOCK),
  time_secs: (d) => d.toLocaleTimeString(),
  ago: (d) => ago(d.getTime() / 1000),
};

const relative = (d) => {
  const name = dayName(d.getTime() / 1000);
  return name === "Today" || name === "Yesterday" ? name.toLowerCase() : null;
};

/** Slack's date token string, such as `{date_short_pretty} at {time}`; an unknown token stays as written. */
export function formatDate(seconds, format, fallback) {
  const day = new Date(Number(seconds) * 1000);
  if (Number.isNaN(day.getTime())) return fallback ?? "";
  return format.replace(/\{([a-z_]+)\}/g, (whole, token) => {
    const pretty = token.endsWith("_pretty");
    const plain = DATE_TOKENS[pretty ? token.slice(0, -"_pretty".length) : token];
    if (!plain) return whole;
    return (pretty && relative(day)) || plain(day);
  });
}

export function fileSize(bytes) {
  if (!Number.isFinite(bytes)) return "";
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(bytes < 10240 ? 1 : 0)} KB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}

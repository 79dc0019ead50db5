// The page's way to the playground server: its control surface, and the errors it answers with.

/** A refusal in the server's own words; the page shows them as they are. */
export class Refused extends Error {
  constructor(message, status, body = {}) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

const WORDS = { 413: "That is larger than the playground takes.", 404: "The playground does not know this address." };

async function answerOf(request) {
  let response;
  try {
    response = await request;
  } catch {
    throw new Refused("The playground did not answer. It may be restarting; try again in a moment.", 0);
  }
  let body = null;
  try {
    body = await response.json();
  } catch {
    body = null;
  }
  if (!response.ok || body?.ok === false) {
    const said = body?.sentence ?? body?.message ?? body?.detail ?? body?.error;
    throw new Refused(
      said || WORDS[response.status] || `The playground answered ${response.status}.`,
      response.status,
      body ?? {},
    );
  }
  return body ?? {};
}

/** POST JSON to `/playground/<name>`; the answer, or `Refused`. */
export function post(name, body) {
  return answerOf(
    fetch(`/playground/${name}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    }),
  );
}

export const get = (name) => answerOf(fetch(`/playground/${name}`, { cache: "no-store" }));

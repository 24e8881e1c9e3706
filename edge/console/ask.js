// access is the key and what it may do; the key stands nowhere else.
const access = { needed: document.body.dataset.keys === "yes", key: "", client: "", roles: [] };

// Refused is an answer that is none: what the node said, or that it said nothing (status 0).
class Refused extends Error {
  constructor(status, detail, wait) {
    super(detail);
    this.status = status;
    this.wait = wait; // seconds
  }
}

// ask sends a request and gives the answer's JSON. A body makes it a POST; why is for the
// record of changes. allow is a status besides 2xx whose JSON is an answer.
const ask = async (path, { body, post, why, allow } = {}) => {
  const headers = { Accept: "application/json" };
  if (access.key) headers.Authorization = "Bearer " + access.key;
  if (body) headers["Content-Type"] = "application/json";
  // A header is bytes; these are the bytes of UTF-8.
  if (why) headers["Restraint-Why"] = String.fromCharCode(...new TextEncoder().encode(why));
  let response, answer;
  try {
    response = await fetch(path, {
      method: body || post ? "POST" : "GET", headers, body: body ? JSON.stringify(body) : undefined,
      cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer", signal: AbortSignal.timeout(15000),
    });
    answer = await response.json();
  } catch (e) {
    throw new Refused(response?.ok === false ? response.status : 0, e.name === "TimeoutError" ? "The node did not answer within 15 s." : "The node does not answer.", 0);
  }
  if (!response.ok && response.status !== allow) {
    throw new Refused(response.status, answer.detail || answer.title || "HTTP status " + response.status, Number(response.headers.get("Retry-After")) || 0);
  }
  return answer;
};

// may says whether the key has one of some roles, written with blanks between them; none
// are needed for what is open.
const may = (roles) => roles === "" || roles.split(" ").some((r) => access.roles.includes(r));

// anyOf is "the role ops" or "one of the roles crm and ops".
const anyOf = (roles) => {
  const names = roles.split(" ");
  return names.length === 1 ? "the role " + names[0] : "the role " + names.slice(0, -1).join(", ") + " or " + names[names.length - 1];
};

// sentence says what went wrong with what was asked, and what to do.
const sentence = (e) => {
  if (!(e instanceof Refused)) {
    console.error(e);
    return "This page has a fault, which the browser's console has: " + e.message;
  }
  if (e.status === 429) return `The key is over its rate; try again${e.wait ? " in " + span(e.wait) : ""}. ${e.message}`;
  if (e.status === 503 && e.wait) return `${e.message} (Try again in ${span(e.wait)}.)`;
  return e.message;
};

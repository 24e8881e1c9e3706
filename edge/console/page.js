// every is how often the page looks whether something is to be asked for, in seconds. A node
// that is away is asked as often.
const every = 5;

// setState sets the badge in the head of the page.
const setState = (text, tone) => {
  show(byID("state"), text);
  byID("state").dataset.tone = tone;
};

// tell puts a notice at the top, which is read out once when it changes; "" takes it away.
const tell = (text, tone) => show(byID("notice"), text ? notice(text, tone) : null);

const parts = [...document.querySelectorAll("[data-part]")];
const partOf = (path, within) => parts.find((p) => p.dataset.part === path && (!within || p.closest("section").id === within));

// readiness is an answer also where the node is not ready.
const readiness = async () => {
  const answer = await ask("/readyz", { allow: 503 });
  if (!answer.conditions) throw new Refused(503, answer.detail, 0); // it had no connection left
  return answer;
};

const findAccess = (own) => {
  access.needed = own.needed;
  access.client = own.client ? `${own.client} (key ${own.id})` : "";
  access.roles = own.roles;
  showAccess();
};

const getReport = async () => {
  const from = Math.floor(Date.now() / 1000) - Number(byID("span").value);
  return [await ask("/v1/report?by=campaign&from=" + from), may("ops") ? (await ask("/v1/dial-back")).campaigns : null];
};

// work is what is asked for, for whom, how many seconds apart, and what is made of it; due is
// when it is to be asked for again. Two sections live by /v1/lists.
const work = [
  { path: "/v1/key", roles: "", each: 60, put: findAccess },
  { path: "/readyz", roles: "", each: every, get: readiness, put: (a) => showReady(partOf("/readyz"), a) },
  { path: "/v1/status", roles: "ops", each: every, put: (a) => showStatus(partOf("/v1/status"), a) },
  { path: "/v1/history", roles: "ops metrics", each: every, put: showTraffic },
  { path: "/v1/lists", roles: "crm ops", each: 3 * every, put: (a) => { showLists(partOf("/v1/lists", "lists"), a); showNodes(partOf("/v1/lists", "nodes"), a); } },
  { path: "/v1/report", roles: "privacy ops", each: 3 * every, get: getReport, put: ([r, d]) => { report = r; dialled = d; showCampaigns(); } },
  { path: "/v1/policy/pilot", roles: "ops", each: 3 * every, put: (a) => showPilot(partOf("/v1/policy/pilot"), a) },
];
for (const w of work) Object.assign(w, { due: 0, fault: "" });

// showAccess shows for every part whether the key may see it, and if not, whose it is.
const showAccess = () => {
  const asked = access.needed && !access.key;
  byID("key").hidden = !asked;
  byID("forget").hidden = !access.key;
  show(byID("who"), access.key ? `${access.client}: ${access.roles.join(", ") || "no role"}` : access.needed ? "" : "no keys: this machine alone, with every role");
  for (const part of parts) {
    const roles = part.dataset.roles, allowed = may(roles);
    part.hidden = !allowed;
    let need = part.nextElementSibling;
    if (!need?.classList.contains("need")) {
      need = h("p", { class: "need" });
      part.after(need);
    }
    need.hidden = allowed;
    show(need, asked ? `Needs a key with ${anyOf(roles)}.` : `Needs ${anyOf(roles)}; your key has ${access.roles.join(", ") || "none"}.`);
  }
};

// forgetKey forgets the key and all that it brought here.
const forgetKey = () => {
  Object.assign(access, { key: "", client: "", roles: [] });
  byID("key-text").value = "";
  clearPerson();
  if (byID("release").open) byID("release").close();
  report = dialled = status = traffic = null;
  for (const part of parts) if (part.dataset.roles && part.dataset.part !== "/v1/users/lookup" && !part.querySelector("[id]")) show(part);
  for (const id of ["name", "rates", "rate-chart", "latency-chart", "reasons", "hour", "campaign-rows"]) show(byID(id));
  showAccess();
};

// refusedKey is what happens when the node no longer takes the key, or has keys since.
const refusedKey = (e) => {
  access.needed = true;
  forgetKey();
  tell("");
  show(byID("key-fault"), e.message);
};

// round asks for what is due, one after the other since a key may have a low rate, and what
// has waited longest first. What the node fails at is said; the rest goes on.
let since = 0, newest = 0;
const round = async () => {
  for (const w of [...work].sort((a, b) => a.due - b.due)) {
    const asks = w.path === "/v1/key" ? !access.needed || access.key : may(w.roles);
    if (!asks) w.fault = "";
    if (!asks || w.due > Date.now()) continue;
    const key = access.key;
    try {
      const answer = await (w.get ? w.get() : ask(w.path));
      if (key !== access.key) return; // forgotten meanwhile
      w.put(answer);
      w.fault = "";
      newest = Date.now() / 1000;
    } catch (e) {
      if ([0, 401, 429].includes(e.status)) throw e;
      w.fault = `${w.path}: ${sentence(e)} `;
    }
    w.due = Date.now() + 1000 * w.each - 500; // so that a turn that comes a little early counts
  }
  since = 0;
  tell(work.map((w) => w.fault).join(""), "warn");
};

// turn is a round and what to say where there was none; it gives the seconds until the next.
const turn = async () => {
  const key = access.key;
  try {
    await round();
    return every;
  } catch (e) {
    const text = sentence(e);
    if (key !== access.key) return 0; // it was about a key that is forgotten
    if (e.status === 401) {
      refusedKey(e);
      return every;
    }
    if (e.status === 429) {
      const wait = Math.max(every, e.wait);
      tell(`The key is over its rate, so some of this is not of now. The page goes on in ${span(wait)}.`, "warn");
      return wait;
    }
    for (const w of work) w.due = 0; // the node may be another one then
    since ||= Date.now() / 1000;
    setState("No answer", "bad");
    tell(`${text} ${newest ? `What is shown is of ${clock(newest, true)}. ` : ""}The page has been asking every ${every} s since ${clock(since, true)}.`, "bad");
    return every;
  }
};

// The loop waits for the time of the next turn, or for whoever wants one now. Paused, or
// while nobody sees the page, it waits for the latter.
let paused = false, wanted = false, wake = () => {};
const now = () => {
  for (const w of work) w.due = 0;
  wanted = true;
  wake();
};
const run = async () => {
  for (;;) {
    const rest = (paused && !wanted) || document.hidden;
    wanted = false;
    const wait = rest ? 3600 : await turn();
    if (!wanted) await Promise.race([pause(wait), new Promise((done) => { wake = done; })]);
  }
};

byID("key-form").addEventListener("submit", async (e) => {
  e.preventDefault();
  access.key = byID("key-text").value.trim();
  show(byID("key-fault"));
  try {
    const own = await ask("/v1/key");
    byID("key-text").value = "";
    findAccess(own);
    byID("main").focus();
    now();
  } catch (fault) {
    access.key = "";
    show(byID("key-fault"), sentence(fault));
    byID("key-text").focus();
  }
});
byID("forget").addEventListener("click", () => {
  forgetKey();
  tell("The key and what it brought here are forgotten.", "good");
  byID("key-text").focus();
});
byID("pause").addEventListener("click", () => {
  paused = !paused;
  byID("pause").setAttribute("aria-pressed", String(paused));
  if (!paused) now();
});
byID("span").addEventListener("change", now);
byID("only").addEventListener("input", showCampaigns);
document.addEventListener("visibilitychange", () => document.hidden || paused || now());
addEventListener("resize", () => requestAnimationFrame(() => traffic && showTraffic(traffic)));
addEventListener("pagehide", () => (access.key ? forgetKey() : clearPerson()));

// Release: asks, does it, and says what came of it.
let releasing = "";
byID("campaign-rows").addEventListener("click", (e) => {
  const button = e.target.closest("[data-release]");
  if (!button) return;
  releasing = button.dataset.release;
  byID("release-form").reset();
  show(byID("release-h"), `Release ${releasing}?`);
  show(byID("release-about"), `It is ${button.dataset.level}. Released, it is shown as the policy says again, on every node, and only what people report from now on counts.`);
  show(byID("release-said"));
  for (const id of ["release-ask", "release-yes"]) byID(id).hidden = false;
  show(byID("release-no"), "Cancel");
  byID("release").showModal();
});
byID("release-form").addEventListener("submit", async (e) => {
  e.preventDefault();
  byID("release-yes").disabled = true;
  show(byID("release-said"), "Asking …");
  try {
    const r = await ask(`/v1/campaigns/${encodeURIComponent(releasing)}/release`, { post: true, why: byID("release-why").value.trim() });
    show(byID("release-h"), `Released ${r.campaign}`);
    show(byID("release-said"), `Its level is now: ${r.level}. In its window, ${number(r.window.weighing)} hides and complaints weigh.`);
    show(byID("release-about"));
    for (const id of ["release-ask", "release-yes"]) byID(id).hidden = true;
    show(byID("release-no"), "Close");
    byID("release-no").focus();
  } catch (fault) {
    show(byID("release-said"), h("span", { class: "bad" }, sentence(fault)));
    if (fault.status === 401) refusedKey(fault);
  }
  byID("release-yes").disabled = false;
  now();
});
byID("release-no").addEventListener("click", () => byID("release").close());

show(byID("zone"), `the time zone ${Intl.DateTimeFormat().resolvedOptions().timeZone} of this browser`);
showAccess();
run();

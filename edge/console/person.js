// Who is asked about stands in two fields and nowhere else, and goes into bodies. What is
// found belongs to what stands there: it goes when that changes, and an answer that comes
// later is not shown.
let asking = 0; // counts up with each question, and when what is found is cleared

const clearFound = () => {
  asking++;
  show(byID("person-found"));
  show(byID("person-said"));
};

const clearPerson = () => {
  clearFound();
  for (const form of ["person-form", "explain-form", "erase-form"]) byID(form).reset();
};

// person is the identifier where OpenRTB has it; null where nobody is named.
const person = () => {
  const source = byID("source").value.trim(), id = byID("identifier").value.trim();
  for (const field of [byID("source"), byID("identifier")]) {
    field.setAttribute("aria-invalid", String(!field.value.trim()));
    if (!field.value.trim()) {
      clearFound();
      show(byID("person-said"), h("span", { class: "bad" }, "Say who: a source, and an identifier of it."));
      field.focus();
      return null;
    }
  }
  if (source === "user.id") return { user: { id } };
  if (source === "buyeruid") return { user: { buyeruid: id } };
  if (source === "ifa") return { device: { ifa: id } };
  return { user: { eids: [{ source, uids: [{ id }] }] } };
};

// question asks, and shows what found makes of the answer; said is the one sentence that is
// read out.
const question = async (path, body, found, said, why) => {
  clearFound();
  const turn = asking;
  show(byID("person-said"), "Asking …");
  try {
    const answer = await ask(path, { body, why });
    if (turn !== asking) return null;
    show(byID("person-found"), found(answer));
    show(byID("person-said"), said(answer));
    byID("person-said").scrollIntoView({ block: "nearest" }); // below the forms in a narrow window
    return answer;
  } catch (e) {
    const text = sentence(e);
    if (turn === asking) show(byID("person-said"), h("span", { class: "bad" }, text));
    if (e.status === 401) refusedKey(e);
    return null;
  }
};

const scope = (x) => words(x.per) + (x.name ? " " + x.name : "") + (x.tag ? ` (tag ${x.tag})` : "") + (x.channel ? ", in " + x.channel : "");
const named = (x) => x.campaign || `(tag ${x.tag})`;
const facts = (rows) => h("ul", null, rows.map((r) => h("li", null, r)));
const listed = (l) => l.list + (l.kind ? `: ${words(l.kind)}, ${words(l.source)}, basis ${l.basis}` : "") + (l.detail ? `: ${l.detail}` : "");

// choices says what the person chose.
const choices = (p) => [
  h("h3", null, "Choices"),
  facts([
    p.personalisation ? "Personalisation: yes" : "Personalisation: no, opted out",
    p.hidden_advertisers.length ? "Hidden advertisers: " + p.hidden_advertisers.join(", ") : null,
    p.hidden_topics.length ? "Hidden topics: " + p.hidden_topics.join(", ") : null,
    p.unnamed ? `Hidden, and not named by the policy in force: ${p.unnamed}` : null,
    p.pause_until ? "Paused until " + moment(p.pause_until) : null,
    ...(p.opt_out_lists ?? []).map((l) => (l.detail ? `Whether the list ${l.list} opts the person out cannot be said: ${l.detail}` : `Opted out by the list ${l.list}, whatever is chosen here: its owner can take the person off it`)),
  ].filter(Boolean)),
];

const lookedUp = (e) => [
  e.held ? null : h("p", null, "Nothing is held about this identifier."),
  e.exposures.length ? table("Shown", [
    { head: "Counted under", row: true, cell: scope },
    { head: "Times", num: true, cell: (x) => number(x.at.length) },
    { head: "Last", cell: (x) => (x.at.length ? moment(x.at[0]) : "–") },
    { head: "First kept", cell: (x) => (x.at.length ? moment(x.at[x.at.length - 1]) : "–") },
    e.exposures.some((x) => x.dropped_until) ? { head: "Older ones", cell: (x) => (x.dropped_until ? "dropped, up to " + moment(x.dropped_until) : "") } : null,
  ].filter(Boolean), e.exposures) : null,
  e.holds.length ? table("Places held", [
    { head: "Counted under", row: true, cell: scope }, { head: "From", cell: (x) => (x.since ? moment(x.since) : "–") }, { head: "Until", cell: (x) => moment(x.until) },
  ], e.holds) : null,
  e.purchases.length ? table("Bought", [
    { head: "What", row: true, cell: scope }, { head: "Bought", cell: (x) => (x.bought ? moment(x.bought) : "–") }, { head: "Given back", cell: (x) => (x.returned ? moment(x.returned) : "–") },
  ], e.purchases) : null,
  e.hidden_campaigns.length ? table("Hidden campaigns", [
    { head: "Campaign", row: true, cell: named }, { head: "Hidden", cell: (x) => moment(x.at) }, { head: "Until", cell: (x) => moment(x.until) },
  ], e.hidden_campaigns) : null,
  e.reports.length ? table("Said", [
    { head: "Campaign", row: true, cell: named }, { head: "What", cell: (x) => words(x.kind) }, { head: "When", cell: (x) => moment(x.at) },
  ], e.reports) : null,
  e.lists.length ? [h("h3", null, "On lists"), facts(e.lists.map(listed))] : null,
  e.not_searched.length ? [h("h3", null, "Lists that cannot be searched by person"), facts(e.not_searched.map(listed))] : null,
  choices(e.preferences),
  e.erased_until || e.dropped_until || e.kept_seconds ? facts([
    e.erased_until ? `Erased: what has a second up to ${moment(e.erased_until)} is forgotten.` : null,
    e.dropped_until ? `Older history was dropped up to ${moment(e.dropped_until)}, and counts as full.` : null,
    e.kept_seconds ? `Showings are kept for at most ${span(e.kept_seconds)}, by the retention of a market that some were in.` : null,
  ].filter(Boolean)) : null,
];

const lookUp = (who) => question("/v1/users/lookup", who, lookedUp, (e) =>
  e.held ? `Found: ${number(e.exposures.length)} counters of showings, ${number(e.purchases.length)} of purchases, ${number(e.lists.length)} lists.` : "Nothing is held.");

const choose = (who, personalisation) => question("/v1/users/preferences", { ...who, personalisation }, choices, (p) =>
  p.personalisation ? "Opted in: nothing chosen here keeps the person from being targeted." : "Opted out: nothing is chosen for this person any more.", byID("why").value.trim());

const check = (c) => {
  const { rule, pass, ...more } = c;
  const at = (v) => (typeof v === "number" && v > 1e9 ? moment(v) : v);
  return [h("span", { class: pass ? "good" : "bad" }, pass ? "pass" : "fail"), " ", words(rule),
    Object.keys(more).length ? ": " + Object.entries(more).map(([k, v]) => `${words(k)} ${at(v)}`).join(", ") : ""];
};

const explain = (who) => {
  const campaigns = byID("explain-campaigns").value.split(",").map((c) => c.trim()).filter(Boolean);
  if (campaigns.length === 0) {
    clearFound();
    show(byID("person-said"), h("span", { class: "bad" }, "Name a campaign to explain."));
    byID("explain-campaigns").focus();
    return;
  }
  const country = byID("explain-country").value.trim().toUpperCase(), consent = byID("explain-consent").value.trim();
  const body = { ...who, candidates: campaigns.map((campaign) => ({ campaign })) };
  if (country) body.device = { ...body.device, geo: { country } };
  if (consent) body.user = { ...body.user, consent };
  return question("/v1/decide?explain=1", body, (a) => a.decisions.map((d) => [
    h("h3", null, d.campaign, ": ", h("span", { class: d.show ? "good" : "bad" }, d.show ? "show" : "skip, " + words(d.reason)), d.retry_after ? `, again in ${span(d.retry_after)}` : ""),
    h("p", null, d.because),
    facts((d.checks ?? []).map(check)),
  ]), (a) => `Judged by policy version ${a.policy}: ${a.decisions.filter((d) => d.show).length} of ${a.decisions.length} may be shown.`);
};

const erasureWords = { applied: ["forgotten", "good"], pending: ["not yet", "warn"] };

const erased = (e, state) => [
  h("h3", null, "Erasure"),
  h("p", null, `What has a second up to ${moment(e.erased_until)} is forgotten. ${e.opt_out_kept ? "The person stays opted out." : "No opt-out is left."}`),
  h("p", null, "Receipt, by which anyone can ask later how far it is; it has no identifier that can be read:"),
  h("p", null, h("code", { id: "receipt" }, e.receipt)),
  e.lists.length ? [h("h3", null, "Lists"), facts(e.lists.map((l) => `${l.list}: ${words(l.state)}; ${l.detail}`))] : null,
  state ? table(state.done ? "Forgotten on every node" : "How far it is on each node", [
    { head: "Node", row: true, cell: (n) => n.node },
    { head: "State", cell: (n) => h("span", { class: erasureWords[n.state]?.[1] }, erasureWords[n.state]?.[0] ?? n.state) },
    { head: "What it says", cell: (n) => n.detail ?? "" },
  ], state.nodes) : null,
  state?.detail ? soft(state.detail) : null,
];

// erase forgets, and then asks how far it is until every node has.
const erase = async (who) => {
  if (byID("confirm").value.trim().toLowerCase() !== "erase") {
    clearFound();
    show(byID("person-said"), h("span", { class: "bad" }, "Nothing is erased: type erase into the field to confirm."));
    byID("confirm").focus();
    return;
  }
  byID("confirm").value = "";
  const e = await question("/v1/users/erase", { ...who, keep_opt_out: byID("keep").checked }, (e) => erased(e), () => "Erased here; asking the other nodes.", byID("why").value.trim());
  for (const turn = asking; e && turn === asking; await pause(3)) {
    try {
      const state = await ask("/v1/users/erasures/" + encodeURIComponent(e.receipt));
      if (turn !== asking) return;
      show(byID("person-found"), erased(e, state));
      show(byID("person-said"), state.done ? "Erased on every node." : "Erased here; some nodes have still to hear of it. This page goes on asking.");
      if (state.done) return;
    } catch (fault) {
      const text = sentence(fault);
      if (turn === asking) show(byID("person-said"), "Erased here. How far it is elsewhere is not known: ", text);
      if (fault.status === 401) return refusedKey(fault);
    }
  }
};

const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

// on has a form or a button do something about the person.
const on = (id, event, act) => byID(id).addEventListener(event, (e) => {
  e.preventDefault();
  const who = person();
  if (who) act(who);
});
on("person-form", "submit", lookUp);
on("opt-out", "click", (who) => choose(who, false));
on("opt-in", "click", (who) => choose(who, true));
on("explain-form", "submit", explain);
on("erase-form", "submit", erase);
byID("clear").addEventListener("click", () => {
  clearPerson();
  byID("identifier").focus();
});
for (const id of ["source", "identifier"]) byID(id).addEventListener("input", clearFound);

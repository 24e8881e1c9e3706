const conditionWords = {
  policy: "Policy in force", lists: "Lists loaded", events: "Events readable", not_draining: "Not draining", clock: "Clock", cluster: "Let in by the cluster",
  broker: "Broker", stream_events: "Events caught up", stream_refusals: "Refusals caught up",
};

const degraded = (c) => c.ready && (c.detail ?? "").startsWith("degraded");

let status = null; // the last /v1/status, where the key may see it

// away says that the broker is, so that the node knows nothing new of the others.
const away = () => status?.replication?.connected === false;
const clustered = () => status?.replication?.broker === "cluster";

// showReady shows the conditions of readiness, and the badge in the head of the page.
const showReady = (into, { ready, conditions }) => {
  const tone = !ready ? "bad" : conditions.some(degraded) ? "warn" : "good";
  if (tone === "good" && away()) setState("Ready, NATS away", "warn");
  else setState({ good: "Ready", warn: "Ready, degraded", bad: "Not ready" }[tone], tone);
  const rows = [...conditions].sort((a, b) => a.ready - b.ready || degraded(b) - degraded(a));
  const all = table("Conditions of readiness", [
    { head: "Condition", row: true, cell: (c) => conditionWords[c.name] ?? words(c.name) },
    { head: "State", cell: (c) => h("span", { class: !c.ready ? "bad" : degraded(c) ? "warn" : "good" }, !c.ready ? "not met" : degraded(c) ? "degraded" : "met") },
    { head: "What the node says", cell: (c) => c.detail || "" },
  ], rows, (c) => c.name);
  // What is as it should be takes no room.
  show(into, tone === "good" ? h("details", null, h("summary", null, `All ${conditions.length} conditions of readiness are met`), all) : all);
};

const showStatus = (into, s) => {
  status = s;
  show(byID("name"), s.node);
  const r = s.replication;
  show(into, h("dl", null,
    tile("Policy", s.policy ? "version " + s.policy : "none yet"),
    tile("Broker", !r ? "none" : r.connected ? "connected" : h("span", { class: "warn" }, "away"), r ? (r.broker === "embedded" ? "in this process" : r.problem || "of a cluster") : null),
    tile("Identifiers counted", number(s.counters.users), number(s.counters.counters) + " counters"),
    tile("Memory of counters", bytes(s.counters.bytes), s.counters.evicted_exposures ? number(s.counters.evicted_exposures) + " showings dropped" : "nothing dropped"),
    tile("Refusals held", number(s.counters.refusals), "of " + number(s.counters.refusal_users) + " identifiers"),
    tile("Record of changes", s.audit.error ? "cannot be written" : number(s.audit.newest) + " entries", s.audit.error),
    tile("Program", s.version, s.clock === "wall" ? null : "clock: of the requests")));
};

const stateWords = { none: ["empty", "warn"], ready: ["ready", "good"], stale: ["stale", "bad"], damaged: ["damaged", "bad"] };
const listState = (state) => {
  const [said, tone] = stateWords[state] ?? [state, ""];
  return h("span", { class: tone }, said);
};

const showLists = (into, { lists }) => {
  if (lists.length === 0) {
    show(into, soft("The policy declares no list."));
    return;
  }
  show(into, table("Suppression lists as this node has them", [
    { head: "List", row: true, cell: (l) => [l.list, l.kind === "opt_out" ? h("small", null, "opt-outs") : null, l.items ? h("small", null, "purchases") : null] },
    { head: "State", cell: (l) => [listState(l.state), l.declared ? null : h("small", null, "not in the policy"), silent(l)] },
    { head: "Generation", num: true, cell: (l) => l.generation || "–" },
    { head: "Members", num: true, cell: (l) => number(l.keys) },
    { head: "Age", num: true, cell: (l) => [l.state === "none" ? "–" : span(l.age), l.max_age ? h("small", null, "of at most " + span(l.max_age)) : null] },
    { head: "False positives", num: true, cell: (l) => (l.exact ? "none, exact" : l.false_positive_rate ? (l.false_positive_rate * 1e6).toFixed(0) + " in a million" : "–") },
    { head: "Memory", num: true, cell: (l) => bytes(l.bytes) },
    { head: "On the nodes", cell: (l) => (l.nodes?.length ? h("ul", null, l.nodes.map((n) =>
      h("li", null, n.node + ": ", listState(n.state), n.current ? null : [", ", h("span", { class: "warn" }, "another generation")]))) : clustered() ? "not known while NATS is away" : "this node alone") },
  ], lists, (l) => l.list));
};

// silent says which sources of a list no request has carried: such a list suppresses nobody.
const silent = (l) => {
  const names = (l.seen ?? []).filter((s) => s.silent).map((s) => s.source);
  return names.length ? h("small", { class: "warn" }, "no request in 24 h carried " + names.join(", ")) : null;
};

// silentNode: it has not spoken where it would have, running, twice.
const silentNode = (n) => n.heard > 150;

const showNodes = (into, { lists, nodes }) => {
  const own = status?.replication;
  const rows = nodes.length ? nodes : status ? [{ node: status.node, heard: 0, ready: status.ready, policy: status.policy, events_behind: own?.events.behind ?? 0, refusals_behind: own?.refusals.behind ?? 0 }] : [];
  if (rows.length === 0) {
    show(into, soft("No node is heard of: this one stands alone, or its cluster is away."));
    return;
  }
  const behind = (n) => (n == null ? "–" : n ? h("span", { class: "warn" }, number(n) + " messages") : "0");
  const newest = Math.max(...rows.map((n) => n.policy ?? 0));
  const held = (name) => lists.flatMap((l) => (l.nodes ?? []).filter((n) => n.node === name));
  show(into, table("Nodes and how far they are behind", [
    { head: "Node", row: true, cell: (n) => [n.node, n.node === status?.node ? h("small", null, "this one") : null] },
    { head: "State", cell: (n) => (n.ready == null ? "not known" : h("span", { class: n.ready ? (silentNode(n) ? "warn" : "good") : "bad" }, (silentNode(n) ? "was " : "") + (n.ready ? "ready" : "not ready"))) },
    { head: "Heard", num: true, cell: (n) => [span(n.heard) + " ago", silentNode(n) ? h("small", { class: "warn" }, "and silent since") : null] },
    { head: "Policy", num: true, cell: (n) => (n.policy == null ? "–" : h("span", { class: n.policy < newest ? "warn" : null }, "version " + n.policy)) },
    { head: "Events behind", num: true, cell: (n) => behind(n.events_behind) },
    { head: "Refusals behind", num: true, cell: (n) => behind(n.refusals_behind) },
    { head: "Lists current", num: true, cell: (n) => { const of = held(n.node); return of.length ? of.filter((l) => l.current).length + " of " + of.length : "–"; } },
  ], rows, (n) => n.node),
  soft(nodes.length ? "As each node last said itself: when it gets ready or not, when its policy or a list changes, and once a minute. One that has said nothing for a day is left out." :
    clustered() ? "NATS is away: nothing is known of the other nodes now." : status ? "This node stands alone." : "This node stands alone, or its cluster is away."));
};

// Campaigns: the report, and what is dialled back. Many are never of interest at once.
const mostCampaigns = 50;
let report = null, dialled = null; // dialled is null where the key may not see it

const showCampaigns = () => {
  const into = byID("campaign-rows");
  if (!report) return;
  const rows = new Map(report.rows.map((r) => [r.campaign, { ...r }]));
  for (const d of dialled ?? []) rows.set(d.campaign, { campaign: d.campaign, ...rows.get(d.campaign), dial: d });
  const only = byID("only").value.trim().toLowerCase();
  const found = [...rows.values()].filter((r) => r.campaign.toLowerCase().includes(only)).sort((a, b) =>
    !!b.dial - !!a.dial || (b.hides_per_10k ?? 0) - (a.hides_per_10k ?? 0) || (b.impressions ?? 0) - (a.impressions ?? 0) || (b.decisions ?? 0) - (a.decisions ?? 0) || (a.campaign < b.campaign ? -1 : 1));
  const withheld = report.withheld_rows ? `${number(report.withheld_rows)} of fewer than ten decisions and reports are left out: they would tell of a few people.` : "";
  if (found.length === 0) {
    show(into, soft(only ? "No campaign has that in its name. " : "Nothing was decided or reported in this time, load tests aside. ", withheld));
    return;
  }
  const count = (name, key) => ({ head: name, num: true, cell: (r) => number(r[key] ?? 0) });
  show(into, table("Campaigns, those dialled back first, then by hides and complaints", [
    { head: "Campaign", row: true, cell: (r) => r.campaign || "(none that a policy had)" },
    count("Decisions", "decisions"),
    { head: "Shown", num: true, cell: (r) => percent(r.shows, r.decisions) },
    { head: "Impressions", num: true, cell: (r) => number((r.impressions ?? 0) + (r.impressions_unkept ?? 0)) },
    count("Hides", "hides"),
    count("Complaints", "complaints"),
    { head: "Of 10,000 impressions", num: true, cell: (r) => (r.hides_per_10k == null ? "–" : rate(r.hides_per_10k)) },
    dialled ? { head: "Dial-back", cell: (r) => (r.dial ? dialSaid(r.dial) : "none") } : null,
    dialled ? { head: "Action", cell: (r) => (r.dial ? h("button", { type: "button", class: "small", "data-release": r.campaign, "data-level": r.dial.level, "aria-label": "Release " + r.campaign }, "Release") : "") } : null,
  ].filter(Boolean), found.slice(0, mostCampaigns), (r) => r.campaign),
  soft(["Counted on all nodes; dialled back first, then by hides and complaints. ", found.length > mostCampaigns ? `${number(found.length - mostCampaigns)} more are not shown: look for them by name. ` : "", withheld,
    dialled ? "" : " Dial-back is for the role ops."].join("")));
};

const dialSaid = ({ level, in_force, dialled_back: by }) => [
  h("span", { class: level === "paused" ? "bad" : "warn" }, level), in_force ? null : " (not in force)",
  by ? h("small", null, `since ${moment(by.since)}: ${number(by.weighing)} hides and complaints of ${number(by.people)} people in ${number(by.shown)} showings; ${number(by.per_10k)} of 10,000 are too many`) : null,
];

const verdictWords = { too_few: "too few to tell", alike: "no difference to be told", more: "more", less: "less" };
const armWords = { before: "version before", pilot: "pilot", holdout: "holdout" };

const showPilot = (into, p) => {
  if (!p.running) {
    show(into, soft("No policy is being tried out."));
    return;
  }
  const points = (v) => (v > 0 ? "+" : v < 0 ? "−" : "") + Math.abs(100 * v).toFixed(2);
  const share = (v) => (100 * v).toFixed(2) + " %";
  show(into,
    h("p", null, `Version ${p.version} is tried out on ${p.percent} % of people since ${moment(Date.parse(p.since) / 1000)}; the others have version ${p.before}.`),
    table("What was done in each arm", [
      { head: "Arm", row: true, cell: (a) => armWords[a.arm] ?? a.arm },
      ...["Decisions", "Shown", "Impressions", "Clicks", "Purchases", "Hides", "Complaints"].map((name) => ({ head: name, num: true, cell: (a) => number(a[name.toLowerCase()]) })),
    ], p.effect?.arms ?? [], (a) => a.arm),
    table(["Effect ", h("span", { class: "soft" }, "of the pilot beside the version before, with its interval of 95 %")], [
      { head: "Rate", row: true, cell: (r) => [words(r.what), h("small", null, "of " + r.of)] },
      { head: "Before", num: true, cell: (r) => share(r.before) },
      { head: "Pilot", num: true, cell: (r) => share(r.pilot) },
      { head: "Difference, points", num: true, cell: (r) => points(r.difference) },
      { head: "95 % interval, points", num: true, cell: (r) => (r.low == null ? "–" : points(r.low) + " to " + points(r.high)) },
      { head: "So the pilot has", cell: (r) => [verdictWords[r.verdict] ?? r.verdict, r.independent ? h("small", null, "each decision taken for itself") : null] },
    ], p.effect?.rates ?? [], (r) => r.what + r.of));
};

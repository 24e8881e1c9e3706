// reasonWords are the reasons in the order in which they are looked at, as openapi.yaml has
// them, each with what it means.
const reasonWords = {
  unknown_campaign: "the policy has no such campaign",
  inactive: "outside its active time",
  child: "the person is known to be a child",
  no_consent: "consent is missing, refused or unreadable",
  opted_out: "a signal, the person or a list says no",
  no_id: "there is no identifier to count by",
  user_choice: "the person hid the advertiser or topic, or paused",
  hidden: "the person hid it or complained",
  sensitive: "a sensitive topic or place",
  not_beside: "must not stand beside what is there",
  too_specific: "names an item, and the market allows none",
  suppressed: "on a suppression list",
  stale_list: "a list is too old to rely on",
  purchased: "bought already",
  too_soon: "interest was shown too recently",
  stale_interest: "interest is over, too little or not known",
  dialled_back: "people complain about the campaign",
  spacing: "the last showing is too recent",
  cap: "a limit is reached",
  diversity: "the same creative again",
  quiet_hours: "by the hour where the person is",
  holdout: "the person is in the share kept for comparison",
};

// total adds up the steps of a column that end after a time; all without one.
const total = (column, ends, after = -Infinity) => (column ?? []).reduce((sum, v, i) => (ends[i] > after ? sum + v : sum), 0);

// percentile is how long requests took, in microseconds: counts are requests by bucket, and
// within a bucket they are taken to lie evenly. Over the last bound it is that bound.
const percentile = (counts, bounds, q) => {
  const all = counts.reduce((a, b) => a + b, 0);
  let below = 0;
  for (let i = 0; i < counts.length && all > 0; i++) {
    if (counts[i] > 0 && below + counts[i] >= q * all) {
      const from = i ? bounds[i - 1] : 0;
      return i === bounds.length ? from : from + (bounds[i] - from) * (q * all - below) / counts[i];
    }
    below += counts[i];
  }
  return null;
};

// added adds the buckets of steps.
const added = (steps) => steps.reduce((sum, counts) => sum.map((v, i) => v + counts[i]), new Array(steps[0]?.length ?? 0).fill(0));

// merged are steps put together, from the newest back, so that there are so many at most: a
// point for each step would be closer to the next than a line is wide. It has the columns of
// t and those of more.
const merged = (t, more, most) => {
  const size = Math.ceil(t.end.length / most), first = t.end.length % size || size;
  const into = (i) => (i < first ? 0 : 1 + Math.floor((i - first) / size));
  const sums = (column) => column.reduce((to, v, i) => { to[into(i)] = (to[into(i)] ?? 0) + v; return to; }, []);
  const counts = [];
  t.latency.counts.forEach((c, i) => { counts[into(i)] = counts[into(i)] ? counts[into(i)].map((v, k) => v + c[k]) : c; });
  const m = { end: [], seconds: sums(t.seconds), counts };
  t.end.forEach((e, i) => { m.end[into(i)] = e; });
  for (const [name, column] of Object.entries(more)) m[name] = sums(column);
  // A step that has just begun says nothing of a rate.
  if (m.seconds.at(-1) < t.step_seconds / 2) for (const column of Object.values(m)) column.pop();
  m.rates = (name) => m[name].map((v, i) => v / m.seconds[i]);
  return m;
};

const quantiles = [["p50", 0.5], ["p99", 0.99], ["p99.9", 0.999]];

let traffic = null; // the last /v1/history

// showTraffic shows the last hour.
const showTraffic = (t) => {
  traffic = t;
  show(byID("name"), t.node);
  const n = t.end.length, bounds = t.latency.up_to_us;
  const reasons = Object.keys(t.decisions).filter((r) => r !== "show");
  const decided = t.end.map((_, i) => Object.values(t.decisions).reduce((sum, c) => sum + c[i], 0));
  const shown = t.decisions.show ?? new Array(n).fill(0);
  // The last minute, or what there is of one.
  const after = (t.end[n - 1] ?? 0) - 60, seconds = total(t.seconds, t.end, after);
  const now = (column) => (seconds ? total(column, t.end, after) / seconds : 0);
  const latest = added(t.latency.counts.filter((_, i) => t.end[i] > after));
  const refused = total(t.answers["5xx"], t.end);
  show(byID("rates"),
    tile("Decisions a second", rate(now(decided)), "in the last minute"),
    tile("Shown", percent(now(shown), now(decided)), "of those decisions"),
    quantiles.map(([name, q]) => tile("Latency " + name, micros(percentile(latest, bounds, q)), "in the last minute")),
    tile("Events a second", rate(now(t.events)), "in the last minute"),
    tile("Failed answers", number(refused), "5xx, in the last hour"));
  const drawn = merged(t, { decided, shown }, 120);
  lines(byID("rate-chart"), {
    title: `Decisions per second in the last hour, all and shown. Now ${rate(now(decided))} a second. The numbers are in the table below.`,
    ends: drawn.end, area: true, unit: "per s", format: number,
    series: [{ name: "all", values: drawn.rates("decided"), now: rate(now(decided)) }, { name: "shown", values: drawn.rates("shown"), now: rate(now(shown)) }],
  });
  lines(byID("latency-chart"), {
    title: `Latency in the last hour, 50th, 99th and 99.9th percentile. Now ${quantiles.map(([name, q]) => name + " " + micros(percentile(latest, bounds, q))).join(", ")}. The numbers are in the table below.`,
    ends: drawn.end, log: true, unit: "", format: (v) => (v < 1000 ? v + " µs" : v < 1e6 ? v / 1000 + " ms" : v / 1e6 + " s"),
    series: quantiles.map(([name, q]) => ({ name, values: drawn.counts.map((c) => percentile(c, bounds, q)), now: micros(percentile(latest, bounds, q)) })),
  });
  showReasons(t, reasons, now, total(decided, t.end));
  showHour(t, decided, shown, reasons, bounds);
};

const showReasons = (t, reasons, now, all) => {
  const order = Object.keys(reasonWords), rank = (r) => (order.indexOf(r) + order.length) % order.length;
  const rows = reasons.sort((a, b) => total(t.decisions[b], t.end) - total(t.decisions[a], t.end) || rank(a) - rank(b));
  if (rows.length === 0) {
    show(byID("reasons"), h("h3", null, "Skips by reason"), soft("Nothing was skipped."));
    return;
  }
  const drawn = merged(t, Object.fromEntries(reasons.map((r) => [r, t.decisions[r]])), 60);
  show(byID("reasons"), table("Skips by reason", [
    { head: "Reason", row: true, cell: (r) => [words(r), h("small", null, reasonWords[r])] },
    { head: "A second now", num: true, cell: (r) => rate(now(t.decisions[r])) },
    { head: "Last hour", num: true, cell: (r) => number(total(t.decisions[r], t.end)) },
    { head: "Of decisions", num: true, cell: (r) => percent(total(t.decisions[r], t.end), all) },
    { head: "Over the hour", cell: (r) => {
      const rates = drawn.rates(r);
      return rates.length > 1 ? [spark(rates), h("small", null, "at most " + rate(Math.max(...rates)) + " a second")] : "";
    } },
  ], rows, (r) => r));
};

// by puts what happened together by so many seconds of the clock, the oldest first.
const by = (t, size, decided, shown, reasons) => {
  const rows = [];
  t.end.forEach((end, i) => {
    const begin = Math.floor((end - 0.001) / size) * size;
    if (rows.at(-1)?.begin !== begin) rows.push({ begin, seconds: 0, decided: 0, shown: 0, failed: 0, counts: [], skipped: Object.fromEntries(reasons.map((r) => [r, 0])) });
    const row = rows.at(-1);
    row.seconds += t.seconds[i];
    row.decided += decided[i];
    row.shown += shown[i];
    row.failed += t.answers["5xx"][i];
    row.counts.push(t.latency.counts[i]);
    for (const r of reasons) row.skipped[r] += t.decisions[r][i];
  });
  return rows;
};

// showHour is what the charts show, in words and numbers.
const showHour = (t, decided, shown, reasons, bounds) => {
  const tens = by(t, 600, decided, shown, reasons);
  show(byID("hour"), table("Decisions, latency and failed answers by five minutes", [
    { head: "From", row: true, cell: (r) => clock(r.begin) },
    { head: "Decisions", num: true, cell: (r) => number(r.decided) },
    { head: "A second", num: true, cell: (r) => rate(r.decided / r.seconds) },
    { head: "Shown", num: true, cell: (r) => percent(r.shown, r.decided) },
    ...quantiles.map(([name, q]) => ({ head: name, num: true, cell: (r) => micros(percentile(added(r.counts), bounds, q)) })),
    { head: "Failed (5xx)", num: true, cell: (r) => number(r.failed) },
  ], by(t, 300, decided, shown, reasons).reverse(), (r) => r.begin), reasons.length ? table("Skips by reason by ten minutes", [
    { head: "Reason", row: true, cell: words },
    ...tens.map((row) => ({ head: "from " + clock(row.begin), num: true, cell: (r) => number(row.skipped[r]) })),
  ], reasons, (r) => r) : null);
};

// lines draws values over time into an element: ends are the times of the values in Unix
// seconds, series are {name, values, now}, of which a value may be null where there is
// none. log asks for a logarithmic scale, area fills below the first line. format writes a
// value with its unit. Each line has a dash of its own, in the legend too, since colour
// alone tells nobody anything who does not see it; the numbers are in a table below.
const lines = (into, { title, ends, series, log, area, format, unit }) => {
  const width = Math.max(260, into.clientWidth), height = 210, left = 58, right = 10, top = 22, bottom = 26;
  const all = series.flatMap((s) => s.values).filter((v) => v != null && (!log || v > 0));
  if (ends.length < 2 || all.length === 0) {
    into.className = "";
    show(into, soft(all.length ? "The first step of ten seconds is not over." : "No request yet."));
    return;
  }
  into.className = "chart";
  const from = ends[0], to = ends[ends.length - 1];
  const scale = log ? logScale(Math.min(...all), Math.max(...all)) : linearScale(Math.max(...all));
  const x = (t) => left + (width - left - right) * (t - from) / (to - from);
  const y = (v) => height - bottom - (height - top - bottom) * scale.at(v);
  const path = (values) => {
    let d = "", pen = false;
    values.forEach((v, i) => {
      if (v == null) { pen = false; return; }
      d += (pen ? "L" : "M") + x(ends[i]).toFixed(1) + " " + y(v).toFixed(1);
      if (!pen && values[i + 1] == null) d += "m-3 0h6"; // a point of its own
      pen = true;
    });
    return d;
  };
  const parts = [];
  for (const tick of scale.ticks) {
    parts.push(svg("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }));
    parts.push(svg("text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, format(tick)));
  }
  parts.push(svg("text", { x: left - 8, y: 11, "text-anchor": "end" }, unit));
  for (const t of timeTicks(from, to, width)) {
    parts.push(svg("line", { class: "axis", x1: x(t), x2: x(t), y1: height - bottom, y2: height - bottom + 4 }));
    parts.push(svg("text", { x: Math.min(x(t), width - right - 20), y: height - 8, "text-anchor": "middle" }, clock(t, to - from < 300)));
  }
  parts.push(svg("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }));
  if (area) parts.push(svg("path", { class: "area", d: fill(series[0].values, ends, x, y, height - bottom) }));
  series.forEach((s, i) => parts.push(svg("path", { class: "line s" + (i + 1), d: path(s.values) })));
  show(into,
    h("ul", { class: "legend" }, series.map((s, i) => h("li", null,
      svg("svg", { viewBox: "0 0 30 10", "aria-hidden": "true" }, svg("line", { class: "line s" + (i + 1), x1: 2, x2: 28, y1: 5, y2: 5 })), s.name + " ", h("b", null, s.now)))),
    svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title }, parts));
};

// fill is the area below a line, from gap to gap.
const fill = (values, ends, x, y, base) => {
  let d = "", first = null;
  for (let i = 0; i <= values.length; i++) {
    if (values[i] != null) {
      d += (first === null ? `M${x(ends[i]).toFixed(1)} ${base}` : "") + `L${x(ends[i]).toFixed(1)} ${y(values[i]).toFixed(1)}`;
      first ??= i;
    } else if (first !== null) {
      d += `L${x(ends[i - 1]).toFixed(1)} ${base}Z`;
      first = null;
    }
  }
  return d;
};

// linearScale goes from 0 to a round number, in steps of 1, 2 or 5 times a power of ten.
const linearScale = (most) => {
  if (most <= 0) return { ticks: [0, 1], at: (v) => v };
  const rough = most / 4, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= rough);
  const top = step * Math.max(1, Math.ceil(most / step));
  const ticks = [];
  for (let i = 0; i * step <= top * 1.001; i++) ticks.push(i * step);
  return { ticks, at: (v) => v / top };
};

// logScale goes from a power of ten to one.
const logScale = (least, most) => {
  const from = Math.floor(Math.log10(least)), to = Math.max(from + 1, Math.ceil(Math.log10(most)));
  const ticks = [];
  for (let e = from; e <= to; e++) ticks.push(10 ** e);
  return { ticks, at: (v) => Math.max(0, (Math.log10(v) - from) / (to - from)) };
};

// timeTicks are whole minutes, as many as have room.
const timeTicks = (from, to, width) => {
  const most = Math.max(2, Math.floor(width / 80));
  const step = [10, 30, 60, 120, 300, 600, 900, 1200, 1800].find((s) => (to - from) / s <= most) ?? 3600;
  const ticks = [];
  for (let t = Math.ceil(from / step) * step; t <= to; t += step) ticks.push(t);
  return ticks;
};

// spark is a small line without a scale, beside the numbers that it is of.
const spark = (values) => {
  const most = Math.max(...values, 1e-9), at = (v, i) => `${(1 + 98 * i / Math.max(1, values.length - 1)).toFixed(1)} ${(20.5 - 19 * v / most).toFixed(1)}`;
  return svg("svg", { class: "spark", viewBox: "0 0 100 22", "aria-hidden": "true" }, svg("path", { d: "M" + values.map(at).join("L") }));
};

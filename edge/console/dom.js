// What comes from outside is put in as text: an attribute's value or a text node. Trusted
// Types forbid everything else, and this file does nothing else.

// make makes an element; children are elements, text, or arrays of them, and null is none.
const make = (space, name, attributes, children) => {
  const e = space ? document.createElementNS(space, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === true) e.setAttribute(key, "");
    else if (value !== false && value != null) e.setAttribute(key, String(value));
  }
  e.append(...children.flat(Infinity).filter((c) => c != null && c !== "").map((c) => (c instanceof Node ? c : String(c))));
  return e;
};
const h = (name, attributes, ...children) => make("", name, attributes, children);
const svg = (name, attributes, ...children) => make("http://www.w3.org/2000/svg", name, attributes, children);
const byID = (id) => document.getElementById(id);

// show puts children into an element. What is there already and the same stays, so that
// neither the focus nor the place of a screen reader is lost when numbers change.
const show = (into, ...children) => {
  const fresh = into.cloneNode(false);
  fresh.append(...children.flat(Infinity).filter((c) => c != null && c !== ""));
  patch(into, fresh);
};

const patch = (old, fresh) => {
  for (let i = 0; i < fresh.childNodes.length; ) {
    const want = fresh.childNodes[i], have = old.childNodes[i];
    if (have && have.nodeType === want.nodeType && have.nodeName === want.nodeName && have.dataset?.row === want.dataset?.row) {
      if (have.nodeType === Node.TEXT_NODE) {
        if (have.data !== want.data) have.data = want.data;
      } else {
        patchAttributes(have, want);
        patch(have, want);
      }
      i++;
      continue;
    }
    // A row may have moved: it is looked for, and what stood in its place goes behind it.
    const row = want.dataset?.row, moved = row !== undefined && [...old.children].slice(i).find((c) => c.dataset.row === row);
    if (moved) {
      old.insertBefore(moved, have ?? null);
      continue;
    }
    if (old.childNodes.length - i > fresh.childNodes.length - i) {
      have.remove();
      continue;
    }
    fresh.replaceChild(document.createComment(""), want); // so that the places of both stay the same
    old.insertBefore(want, have ?? null);
    i++;
  }
  while (old.childNodes.length > fresh.childNodes.length) old.lastChild.remove();
};

// What a person opened stays open.
const patchAttributes = (have, want) => {
  for (const { name } of [...have.attributes]) {
    if (!want.hasAttribute(name) && name !== "open") have.removeAttribute(name);
  }
  for (const { name, value } of want.attributes) if (have.getAttribute(name) !== value) have.setAttribute(name, value);
};

// table is a table. A column is {head, cell, num, row}: cell gives what stands in it for a
// row of rows, num says that it is a number, row that it heads the row. id tells rows apart.
// The roles are said, since on narrow screens rows are blocks.
const table = (caption, columns, rows, id) =>
  h("table", { role: "table" },
    h("caption", null, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
      columns.map((c) => h("th", { scope: "col", role: "columnheader", class: c.num ? "n" : null }, c.head)))),
    h("tbody", { role: "rowgroup" }, rows.map((r) => h("tr", { role: "row", "data-row": id ? id(r) : null }, columns.map((c) =>
      c.row ? h("th", { scope: "row", role: "rowheader" }, c.cell(r)) : h("td", { role: "cell", "data-of": c.head, class: c.num ? "n" : null }, c.cell(r)))))));

// tile is a number with what it is.
const tile = (name, value, under) => h("div", null, h("dt", null, name), h("dd", null, value), under ? h("dd", { class: "under" }, under) : null);

const notice = (text, tone) => h("p", { class: "notice", "data-tone": tone }, text);
const soft = (...children) => h("p", { class: "soft" }, ...children);

// Numbers, times and spans as people read them.
const whole = new Intl.NumberFormat("en");
const number = (n) => (n == null ? "–" : whole.format(n));
const rate = (n) => (n == null ? "–" : n >= 100 || n === 0 ? whole.format(Math.round(n)) : n >= 1 ? n.toFixed(1) : n < 0.01 ? "< 0.01" : n.toFixed(2));
const percent = (part, of) => (!of ? "–" : part && part / of < 0.0005 ? "< 0.1 %" : (100 * part / of).toFixed(1) + " %");
const bytes = (n) => {
  for (const [unit, size] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]]) if (n >= size) return (n / size).toFixed(n >= 100 * size ? 0 : 1) + " " + unit;
  return n + " B";
};
const micros = (us) => (us == null ? "–" : us < 1000 ? (us < 10 ? us.toFixed(1) : Math.round(us)) + " µs" : us < 1e6 ? (us / 1000).toPrecision(us < 1e5 ? 2 : 3) + " ms" : (us / 1e6).toFixed(1) + " s");
const span = (s) => {
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) if (s >= 2 * size || (unit === "min" && s >= 60)) return Math.floor(s / size) + " " + unit;
  return Math.floor(s) + " s";
};
const clock = (unix, seconds) => new Date(unix * 1000).toLocaleTimeString("en-GB", seconds ? {} : { hour: "2-digit", minute: "2-digit" });
const moment = (unix) => new Date(unix * 1000).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
const words = (name) => name.replaceAll("_", " ");

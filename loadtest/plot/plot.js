"use strict";
// Lays an interactive chart over each picture of the page. Without it, or where it
// fails, the pictures stay.
(() => {
	const charts = JSON.parse(document.getElementById("charts").textContent);
	const trimmed = s => s.includes(".") ? s.replace(/\.?0+$/, "") : s;
	const significant = v => {
		if (v === 0) return "0";
		const before = Math.floor(Math.log10(Math.abs(v))) + 1;
		const [whole, part] = trimmed(v.toFixed(Math.min(20, Math.max(0, 3 - before)))).split(".");
		return whole.replace(/\B(?=(\d{3})+$)/g, ",") + (part ? "." + part : "");
	};
	const format = {
		us: v => v === 0 ? "0" : v < 0.1 ? "< 0.1 µs" : v < 999.5 ? significant(v) + " µs" : v < 999.5e3 ? significant(v / 1e3) + " ms" : significant(v / 1e6) + " s",
		s: v => significant(v) + " s",
		plain: significant,
		quantile: v => trimmed((100 * (1 - 1 / v)).toFixed(Math.max(1, Math.ceil(Math.log10(v) - 1e-9)))) + " %",
	};
	const say = document.createElement("p"); // read out as the cursor is moved by keys
	say.className = "unseen";
	say.setAttribute("role", "status");
	document.body.append(say);

	// draw makes the chart c in its box and returns how to take it away.
	const draw = (c, box) => {
		const seen = getComputedStyle(document.documentElement);
		const colour = name => seen.getPropertyValue("--" + name).trim();
		const font = "12px system-ui, sans-serif";
		const tens = (u, at) => at.map(v => v !== null && Math.abs(Math.log10(v) % 1) < 1e-9 ? v : null);
		const axis = (a, size) => ({
			label: a.label, size, labelSize: 22, labelGap: 2, font, labelFont: font, stroke: colour("soft"),
			grid: {stroke: colour("line"), width: 1, ...(a.log && {filter: tens})},
			ticks: {stroke: colour("line"), width: 1, size: 4, ...(a.log && {filter: tens})},
			values: (u, at) => at.map(v => v === null ? "" : format[a.unit](v)),
		});
		const scale = (a, fixed) => ({
			time: false, distr: a.log ? 3 : 1, log: 10,
			range: (u, from, to) => fixed || from === null || from === to ||
				(from <= c.at[0] && to >= c.at[c.at.length - 1]) ? [a.from, a.to] : [from, to],
		});
		const marks = u => {
			const g = u.ctx, b = u.bbox, dot = devicePixelRatio;
			g.save();
			g.strokeStyle = g.fillStyle = colour("ink");
			g.font = 12 * dot + "px system-ui, sans-serif";
			g.lineWidth = dot;
			g.setLineDash([2 * dot, 3 * dot]);
			for (const m of c.marks) {
				const at = u.valToPos(m.at, m.on_x ? "x" : "y", true);
				if (m.on_x ? at < b.left || at > b.left + b.width : at < b.top || at > b.top + b.height) continue;
				g.beginPath();
				if (m.on_x) {
					g.moveTo(at, b.top); g.lineTo(at, b.top + b.height);
					g.textAlign = at > b.left + b.width / 2 ? "right" : "left";
					g.fillText(m.label, at + (g.textAlign === "left" ? 5 : -5) * dot, b.top + 13 * dot);
				} else {
					g.moveTo(b.left, at); g.lineTo(b.left + b.width, at);
					g.textAlign = "left";
					g.fillText(m.label, b.left + 5 * dot, at - 5 * dot);
				}
				g.stroke();
			}
			g.restore();
		};
		const few = c.at.length <= 60;
		const u = new uPlot({
			width: box.clientWidth, height: 320, padding: [10, 26, 0, 0],
			scales: {x: scale(c.x, false), y: scale(c.y, true)},
			axes: [axis(c.x, 32), axis(c.y, 66)],
			cursor: {y: false, sync: c.sync ? {key: c.sync} : {}, drag: {x: true, y: false}},
			series: [{label: c.x.short, value: (u, v) => v === null ? "–" : format[c.x.unit](v)}].concat(c.lines.map(l => ({
				label: l.name, stroke: colour("c" + l.colour), width: l.style === "points" ? 0 : 2, dash: l.style === "dashed" ? [7, 5] : undefined,
				paths: l.style === "points" ? () => null : undefined,
				points: {show: l.style === "points" || few && l.style === "solid", size: l.style === "points" ? 9 : 5, fill: colour("c" + l.colour)},
				spanGaps: false, value: (u, v) => v === null || v === undefined ? "–" : format[c.y.unit](v),
			}))),
			hooks: {draw: [marks]},
		}, [c.at].concat(c.lines.map(l => l.values)), box);
		const root = u.root;
		root.tabIndex = 0;
		root.setAttribute("role", "group");
		root.setAttribute("aria-label", c.title + ". " + c.text + " Left and right move along it, Escape shows all of it.");
		root.querySelectorAll(".u-series th").forEach((th, i) => {
			if (i === 0) return;
			th.tabIndex = 0;
			th.setAttribute("role", "button");
			th.title = "Show or hide";
		});
		let at = -1;
		const keys = e => {
			if (e.key === "Enter" && e.target.tagName === "TH") return e.target.click();
			const last = c.at.length - 1, far = Math.max(1, Math.round(last / 10));
			const to = {ArrowLeft: at - 1, ArrowRight: at + 1, PageUp: at - far, PageDown: at + far, Home: 0, End: last}[e.key];
			if (e.key === "Escape") return u.setScale("x", {min: c.at[0], max: c.at[last]});
			if (to === undefined || e.ctrlKey || e.altKey || e.metaKey) return;
			e.preventDefault();
			at = Math.min(last, Math.max(0, to));
			u.setCursor({left: u.valToPos(c.at[at], "x"), top: u.bbox.height / 2 / devicePixelRatio}, true, true);
			say.textContent = [format[c.x.unit](c.at[at])].concat(c.lines.filter(l => l.values[at] !== null).map(l => l.name + " " + format[c.y.unit](l.values[at]))).join(", ");
		};
		root.addEventListener("keydown", keys);
		const resized = new ResizeObserver(() => { if (box.clientWidth > 0 && box.clientWidth !== u.width) u.setSize({width: box.clientWidth, height: 320}); });
		resized.observe(box);
		return () => { resized.disconnect(); u.destroy(); };
	};

	let drawn = [];
	const all = () => {
		drawn.forEach(remove => remove());
		drawn = [];
		for (const c of charts) {
			const box = document.getElementById(c.id);
			box.classList.add("live");
			try {
				drawn.push(draw(c, box));
			} catch (fault) {
				box.classList.remove("live");
				box.querySelectorAll(".uplot").forEach(left => left.remove());
				console.error(fault);
			}
		}
	};
	all();
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
})();

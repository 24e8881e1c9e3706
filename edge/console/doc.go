// Package console is the operator's page, which a node serves at /console of its admin
// listener: one page of HTML, a style and a script, all of them here and in the page itself.
// It fetches nothing but paths of the node that served it.
//
// | file | what it has |
// |---|---|
// | page.html, page.css | the parts of the page with their labels, and how they look in the light and in the dark |
// | dom.js | elements made of text, tables, what changes put into the page without a flicker, numbers and times for people |
// | chart.js | lines over time as SVG |
// | ask.js | requests with the key, and how failures are said |
// | traffic.js | rates, percentiles and reasons of the last hour |
// | parts.js | node, lists, nodes, campaigns, pilot |
// | person.js | what the privacy officer does |
// | page.js | which part is asked for when, the key, and what happens when the node is away |
//
// What it keeps: the key, roles and answers in memory of the page, until it is reloaded,
// closed, or told to forget. Nothing is stored by the browser. Identifiers of people stand in
// bodies of requests alone.
//
// What it shows came from outside, campaigns' names for one. All of it is put in as text;
// the policy of the page forbids the browser any other way.
//
// A part that the key has no role for says which roles it is for and is not asked for: its
// data-part and data-roles in page.html are rows of the node's matrix, and a test compares
// them.
package console

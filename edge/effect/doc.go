// Package effect says whether two groups of people differ in a rate, and how sure that
// is: what a policy that is tried out on some people does, beside the policy of the
// others. It is arithmetic alone.
//
// # What is compared
//
// People are drawn by lot; decisions, clicks and purchases are what they do. What one
// person does is alike, and a few people do most of it, so a hundred decisions about
// one person tell less than a hundred about a hundred people. An interval that takes
// each decision as drawn by itself would be too narrow, often several times. Nothing
// is counted by person here to mend that. Instead everything is counted in a few
// equal parts of all people, drawn by lot too, so that a person is always in one
// part: how much the parts of one group differ among themselves tells how much two
// groups differ by chance.
//
// The interval is the wider, at either end, of two:
//
//   - that of the parts (Random Groups, below), which knows that decisions come in
//     people and is rough where little has happened;
//   - Newcombe's, which takes decisions as independent and is right for small counts;
//     the truth is never narrower.
//
// # What it does not do
//
// Of twenty rates of two equal groups, one is outside its interval of 95 % by chance.
// Looking again and again until something is outside makes that more. It says that two
// groups differ, not that it matters.
package effect

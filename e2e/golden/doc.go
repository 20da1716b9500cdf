// Package golden plays recorded answers of the systems Batata takes the place
// of against a running server, and reports every difference.
//
// A scenario is a file of JSON lines: the first describes it, each further one
// is a step with a request and the answer the real server gave. Steps run in
// order; scenarios are independent. Pauses that the reference needed before it
// showed a write are ignored: reads here are fresh.
//
// Where Batata answers differently on purpose, either the step carries `ours`,
// or the file differences.tsv beside the data names the step with the decision
// behind it; a step that is listed and does not differ fails. Recordings that are
// not played yet are named in waiting.tsv. Start reading at Play.
package golden

// Package ingest is the public face: it takes webhooks at POST /hooks/<source> and answers 202 only when every event of
// the delivery is on disk.
//
// The way of a delivery is: cap, verify, map, validate, publish. The signature is checked over the raw bytes before
// anything is parsed, all events of a delivery are validated before the first is published, and an answer in the 200s
// comes only after the Publisher said that all of them are stored. A fault midway is answered 503, and the sender's
// repeat completes the delivery: a case is named by what the event itself says, so that nothing happens twice.
//
// A 4xx says that this request can never be right; everything that may pass by itself is 503 with Retry-After. Several
// senders give up on a 4xx for good, and some then stop sending.
//
// A new kind of proof is a file with a Verifier and a line in newKind. A new sender is no code at all: it is a file of
// internal/ingest/presets, or what stands in sources.yaml, compiled by internal/mapping. A Preset in Go is for those who
// send events of the catalogue as they are, and for speed.
package ingest

// Package outcome tells the world what became of things: every change of a plan, an action or a case is a CloudEvent
// on outcomes.<what>.<state>, for a SIEM or a chat relay to subscribe to, and optionally a signed web hook.
//
// It says what the ledger says, and nothing of its own: a Relay reads the records in the order in which they were
// written and publishes each under an id that follows from the record, so that no change is missed, and one that is
// told twice is recognised. Changes of one thing are told in no promised order; the attribute sequence has it.
//
// What is told holds the principal, and nothing else of a person; no secret ever stands in the ledger.
package outcome

// Package stream is the way to the broker, and the only importer of NATS: it names every stream, publishes, consumes,
// settles, schedules, leases, and keeps the ledger's records.
//
// What it promises:
//
//   - PublishEvents and PublishCommand return nil only when what they published is on disk: the server's
//     acknowledgement first, then the durability barrier (Barrier).
//   - Everything else that is published is on disk after the next Barrier; a message is acknowledged only behind one.
//   - Only settle acknowledges, by the outcome that a handler returns; whatever is in doubt is delivered again.
//   - At most one holder of a lease runs (Hold), and it stops before another can start.
//   - A barrier that fails once fails for ever: whoever waited for it has no answer, and the process should end.
//
// What it relies on: a NATS server of MinServer or newer whose durability is known. The embedded server
// (package embedded) brings its own barrier; any other is refused unless its `sync_interval: always` was seen on its
// monitoring port or vouched for (Options.Monitor, Options.AssertDurable).
package stream

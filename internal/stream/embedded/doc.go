// Package embedded runs the broker inside the process: the one-machine mode, the demo, and the tests.
//
// One process owns a store at a time. The store holds the server's files (jetstream/) and ours: `lock` (held by the
// process), `unclean` (there from start to clean stop), `failed` (a barrier failed: the store must pass Check),
// `nats.json` (where the server listens, for the operator's tool on this machine) and `deployment.key`.
//
// It alone links nats-server; only cmd/keyturn and tests import it.
package embedded

// Package e2e holds the tests of the whole: signed deliveries go in over HTTP, and the sandbox's own state and the
// ledger are asked what came of them. It exports nothing.
//
//   - durable: no answer precedes its barrier, and a failed disk ends them all.
//   - canary: no secret comes out anywhere.
//   - crash: everything dies at every write and every call, singly and in pairs, and the sandbox counts the effects.
//   - process: the real commands as processes of their own, killed at random moments; what they say of a wrong
//     configuration and of a broker that must not be used; the tool as a newcomer runs it; backup, restore and the move to
//     other servers by the steps of docs/OPERATIONS.md.
//   - chaos: three NATS servers, two intakes and three workers as processes, with a proxy in every link between them. By a
//     seed, processes die, links are cut or go silent, the store is full, clocks are wrong and providers fail; then the
//     sandbox's journal and the ledger's records are judged. A few of them in `make crash`, all of them in
//     `make chaos`; not under the race detector, with which three NATS servers and five processes on two cores are too
//     slow to be told from those that fail.
package e2e

// Package e2e holds the tests of the whole: signed deliveries go in over HTTP, and the sandbox's own state and the
// ledger are asked what came of them. It exports nothing.
//
//   - durable: no answer precedes its barrier, and a failed disk ends them all.
//   - canary: no secret comes out anywhere.
//   - crash: everything dies at every write and every call, singly and in pairs, and the sandbox counts the effects.
//   - process: the real commands as processes of their own, killed at random moments; what they say of a wrong
//     configuration and of a broker that must not be used; the tool as a newcomer runs it.
package e2e

// Package sandbox is three identity providers in one process: an Okta org, an
// Okta Advanced Server Access (ASA) team and a Transmit Security Mosaic app.
// It answers over HTTP what the vendors answer, keeps state, spends rate
// limits and fails when it is told to.
//
// # Contract
//
//   - A [Sandbox] is an [http.Handler]. Okta lies below /okta, ASA below /asa,
//     Mosaic below /mosaic, and its own administration below /_sandbox.
//     [Sandbox.Transport] serves the same calls without a socket.
//   - One call is one step: whatever it changes is changed completely or not at
//     all, and no other call sees half of it.
//   - Every change that a call makes is an effect, and is listed in the
//     [Journal] by name and by object, for example
//     "okta.token.revoked oar1a2b3c". A call that changes nothing (a suspended
//     user is suspended again, an empty listing is revoked) lists none. Tokens
//     issued to callers are not effects.
//   - [Sandbox.Snapshot] is the truth, whatever the calls were answered.
//   - With one [Options.Seed] and the same calls the same ids, secrets and keys
//     come out, in every process.
//
// # What it is not
//
// It knows none of our clients, so that a mistake of theirs cannot repeat
// itself here. It is not hardened: its credentials follow from the seed and its
// administration is open, so [Sandbox.Listen] binds to loopback only.
//
// Behaviour that the vendors leave open can be switched with an option; the
// default is what their own SDKs and recordings suggest.
package sandbox

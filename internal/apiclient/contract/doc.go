// Package contract holds the clients of the three providers to what they promise their callers: one suite of
// assertions for each provider, which runs against the sandbox always, and against a real tenant when the environment
// names one (`make contract`).
//
// Against a real tenant it only reads, unless KEYTURN_CONTRACT_ALLOW_CHANGES=true. Then it changes what the
// environment names for it, and puts back what can be put back. What cannot be undone, a user's deactivation and the
// deletion of all clients, it does in the sandbox alone. What it cannot do it skips, and says which variables to set.
package contract

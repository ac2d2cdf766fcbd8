package actions

// Sweeps share the verification of a connection.
type Sweeps struct{}

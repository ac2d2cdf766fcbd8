package actions

// Sink is where secrets of created clients go.
type Sink interface{}

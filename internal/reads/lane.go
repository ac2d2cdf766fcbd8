package reads

import "time"

// Lane is how a connection's lane stands. What only its holder knows is missing while nobody holds it.
type Lane struct {
	Connection string    `json:"connection"`
	Standing   Standing  `json:"state"`
	Worker     string    `json:"worker,omitempty"` // who holds it
	Epoch      uint64    `json:"epoch,omitempty"`  // of its lease
	Since      time.Time `json:"held_since,omitzero"`
	Why        string    `json:"why,omitempty"`     // why it does not work
	Stopped    time.Time `json:"stopped,omitzero"`  // since when the breaker is open
	Fault      string    `json:"fault,omitempty"`   // why the breaker is open, in a word: refused (the credential) or unreachable
	Lacks      []Lack    `json:"lacks,omitempty"`   // rights that the credential lacks: what needs one waits, the rest goes on
	Places     *Places   `json:"calls,omitempty"`   // nil = nobody holds it
	Buckets    []Window  `json:"buckets,omitempty"` // that were used since it is held
	Queues     []Queue   `json:"queue"`             // by class, the most urgent first; empty = no worker ever had the connection
	Rate       *Rate     `json:"last_minute,omitempty"`
	Forecast   *Forecast `json:"forecast,omitempty"`
}

// Standing is whether a lane works.
type Standing string

// The standings, of which the first that holds counts.
const (
	NotHeld Standing = "not_held" // no worker holds it: what waits stays where it is
	Open    Standing = "open"     // the breaker is open: only probes go out
	Halted  Standing = "paused"   // by an operator: no action is begun
	Working Standing = "working"
)

// Standings lists the standings.
func Standings() []Standing { return []Standing{NotHeld, Open, Halted, Working} }

// TokenEndpoint stands among the buckets while no call goes because the token endpoint of the credential wants to be left alone.
// No bucket of a provider's or of the configuration has a space in its name.
const TokenEndpoint = "token endpoint"

// Lack is a right that a credential lacks.
type Lack struct {
	Right   string    `json:"right"` // as the vendor names it
	Since   time.Time `json:"since"`
	Actions int       `json:"actions"` // that wait for it
	Why     string    `json:"why"`     // what was refused last
}

// Places are how many calls may be under way at a time.
type Places struct {
	AtOnce int `json:"at_once"` // at present; two more of the urgent
	Most   int `json:"most"`    // what that creeps up to
	Flying int `json:"in_flight"`
}

// Window is what the lane knows of one of the provider's rate buckets.
type Window struct {
	Bucket  string    `json:"bucket"`
	Limit   int       `json:"limit"`   // calls a window; 0 when the provider does not say
	Allowed int       `json:"allowed"` // of these, what the lane may use
	Known   bool      `json:"known"`   // a reply of the window that runs was seen: left and resets hold
	Left    int       `json:"left"`    // calls that the lane may still make in the window
	Resets  time.Time `json:"resets,omitzero"`
	Paused  time.Time `json:"paused_until,omitzero"` // told to wait
	Flying  int       `json:"in_flight"`
}

// Queue is what a lane has to do in one class.
type Queue struct {
	Class   string    `json:"class"`
	Waiting int       `json:"waiting"`         // at the broker, or given back to come again within a minute
	InHand  int       `json:"in_hand"`         // with the holder
	AtGate  int       `json:"at_gate"`         // of these, before a call that waits for budget or a place
	Later   int       `json:"later"`           // to come again later than within a minute
	Visits  int       `json:"visits"`          // looks to come at what is done: no work that waits
	Oldest  time.Time `json:"oldest,omitzero"` // since when the oldest of waiting and in hand is there
}

// Rate is what was done within the last minute.
type Rate struct {
	Calls   int `json:"calls"`
	Actions int `json:"actions"` // settled for good
}

// Forecast is when what waits, now or until later, and is in hand will be done.
type Forecast struct {
	Actions int     `json:"actions"`             // that it is about
	Seconds float64 `json:"done_in_s,omitempty"` // 0 = now, or nobody can say
	Bucket  string  `json:"bucket,omitempty"`    // whose budget decides; empty = how fast the lane was of late does
	Unknown string  `json:"unknown,omitempty"`   // why nobody can say
}

// ToDo is how many actions wait, now or until later, and are in hand, in all classes.
func (l Lane) ToDo() int {
	n := 0
	for _, q := range l.Queues {
		n += q.Waiting + q.InHand + q.Later
	}
	return n
}

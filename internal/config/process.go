package config

import (
	"log/slog"
	"slices"
	"strings"
	"time"

	"keyturn/internal/secret"
)

// Prefix begins the name of every environment variable of the settings.
const Prefix = "KEYTURN"

// Ingest are the settings of the public intake.
type Ingest struct {
	ConfigDir   string        `split_words:"true" default:"/etc/keyturn" desc:"directory with sources.yaml"`
	Listen      string        `split_words:"true" default:"127.0.0.1:8480" desc:"address of the public listener, host:port"`
	AdminListen string        `split_words:"true" default:"127.0.0.1:8481" desc:"address of health and metrics, host:port; never public"`
	Reload      time.Duration `split_words:"true" default:"10s" desc:"how often the configuration's files are looked at for a change, besides at SIGHUP; 0s = never"`
	TLS         PublicTLS
	Drain       time.Duration `split_words:"true" default:"5s" desc:"how long deliveries are still taken after /readyz says no: at least the period of the readiness probe; 0s = not at all"`
	Shutdown    time.Duration `split_words:"true" default:"20s" desc:"the longest a clean stop may take"`
	NATS        NATS
	Log         Log
}

// Worker are the settings of a worker.
type Worker struct {
	ConfigDir     string        `split_words:"true" default:"/etc/keyturn" desc:"directory with connections.yaml and playbooks.yaml"`
	Reload        time.Duration `split_words:"true" default:"10s" desc:"how often the configuration's files are looked at for a change, besides at SIGHUP; 0s = never"`
	AdminListen   string        `split_words:"true" default:"127.0.0.1:8482" desc:"address of health and metrics, host:port; never public"`
	Shutdown      time.Duration `split_words:"true" default:"20s" desc:"the longest a clean stop may take"`
	DeploymentKey secret.Value  `split_words:"true" required:"true" desc:"key that hides principals in subjects: the same on every worker, for ever; at least 16 bytes"`
	LostKey       string        `split_words:"true" desc:"proof of a deployment key that is lost for good, as a refused start names it: the ledger goes on under the key that is set"`
	Replicas      int           `split_words:"true" default:"3" desc:"copies of every stream on the NATS cluster: 1, 3 or 5"`
	Outcome       Outcome
	NATS          NATS
	Log           Log
}

// Local are the settings of the one tool: serve, dev, and the commands of an operator.
type Local struct {
	ConfigDir     string        `split_words:"true" desc:"directory with sources.yaml, connections.yaml and playbooks.yaml; dev brings a sample"`
	Reload        time.Duration `split_words:"true" default:"10s" desc:"how often the configuration's files are looked at for a change, besides at SIGHUP; 0s = never"`
	Listen        string        `split_words:"true" default:"127.0.0.1:8480" desc:"address of the public listener, host:port"`
	AdminListen   string        `split_words:"true" default:"127.0.0.1:8481" desc:"address of health and metrics, host:port; never public"`
	Shutdown      time.Duration `split_words:"true" default:"20s" desc:"the longest a clean stop may take"`
	TLS           PublicTLS
	Store         string       `split_words:"true" default:".keyturn" desc:"directory of the embedded broker and of what is generated beside it"`
	Durability    Durability   `split_words:"true" default:"group" desc:"how the embedded broker reaches the disk: group (one barrier for many messages) or always (one fsync a message)"`
	StoreMaxBytes Bytes        `split_words:"true" default:"8GiB" desc:"the most that the embedded broker stores, with KiB, MiB, GiB or TiB"`
	DeploymentKey secret.Value `split_words:"true" desc:"key that hides principals in subjects, at least 16 bytes; generated in the store when not given"`
	LostKey       string       `split_words:"true" desc:"proof of a deployment key that is lost for good, as a refused start names it: the ledger goes on under the key that is set"`
	Outcome       Outcome
	NATS          NATS
	Log           Log
}

// NATS says how to reach an external NATS server. Commands of an operator that find none of it use the store's own
// broker.
type NATS struct {
	URL           string `split_words:"true" desc:"servers, comma-separated: nats://host:4222 or tls://host:4222"`
	Creds         string `split_words:"true" desc:"path of a credentials file (JWT and seed)"`
	Nkey          string `split_words:"true" desc:"path of an nkey seed file"`
	Context       string `split_words:"true" desc:"name of a context of the nats command line tool, instead of the rest"`
	Monitor       string `split_words:"true" desc:"monitoring ports of every server, comma-separated, from which their durability is read: http://host:8222"`
	AssertDurable bool   `split_words:"true" default:"false" desc:"vouch that every server runs with sync_interval: always"`
	TLS           TLS
}

// PublicTLS are the files of a public listener that speaks TLS itself, rather than a proxy before it.
type PublicTLS struct {
	Cert     string `split_words:"true" desc:"path of the public listener's certificate chain, PEM, read again when it changes; without it a proxy must bring TLS"`
	Key      string `split_words:"true" desc:"path of the key of that certificate, PEM"`
	ClientCA string `split_words:"true" desc:"path of the authorities of client certificates, PEM: for sources that verify by mtls"`
}

// TLS are the files of a TLS connection to NATS.
type TLS struct {
	CA   string `split_words:"true" desc:"path of the certificate authorities, PEM"`
	Cert string `split_words:"true" desc:"path of the client certificate, PEM"`
	Key  string `split_words:"true" desc:"path of the client certificate's key, PEM"`
}

// Log says how the process logs, on its standard error.
type Log struct {
	Level  slog.Level `split_words:"true" default:"INFO" desc:"debug, info, warn or error"`
	Format LogFormat  `split_words:"true" default:"json" desc:"json or text"`
}

// IngestFromEnv reads the settings of ingest. The error is Faults, each with the variable as its place.
func IngestFromEnv() (Ingest, error) {
	var s Ingest
	e := newEnviron()
	e.fill(&s)
	e.listen("KEYTURN_LISTEN", s.Listen)
	e.listen("KEYTURN_ADMIN_LISTEN", s.AdminListen)
	e.positive("KEYTURN_SHUTDOWN", s.Shutdown)
	e.reload(s.Reload)
	e.publicTLS(s.TLS)
	e.drain(s.Drain, s.Shutdown)
	e.nats(s.NATS, true)
	return s, e.err()
}

func (e *environ) publicTLS(t PublicTLS) {
	if (t.Cert == "") != (t.Key == "") {
		e.fault("KEYTURN_TLS_CERT", "and KEYTURN_TLS_KEY belong together: set both, or neither")
	}
	if t.ClientCA != "" && t.Cert == "" {
		e.fault("KEYTURN_TLS_CLIENT_CA", "has no effect without TLS: set KEYTURN_TLS_CERT and KEYTURN_TLS_KEY too")
	}
}

// drain wants room for the rest of a stop after the drain: a stop that cannot be in time is cut off.
func (e *environ) drain(d, shutdown time.Duration) {
	switch {
	case d < 0:
		e.fault("KEYTURN_DRAIN", "must not be negative: write it as 5s, or 0s to stop at once")
	case shutdown > 0 && d >= shutdown:
		e.fault("KEYTURN_DRAIN", "must be shorter than KEYTURN_SHUTDOWN, of which it is a part")
	}
}

// reload refuses a span that is none.
func (e *environ) reload(d time.Duration) {
	if d < 0 {
		e.fault("KEYTURN_RELOAD", "must not be negative: write it as 10s, or 0s to look at SIGHUP only")
	}
}

// WorkerFromEnv reads the settings of a worker. The error is Faults.
func WorkerFromEnv() (Worker, error) {
	var s Worker
	e := newEnviron()
	e.fill(&s)
	e.listen("KEYTURN_ADMIN_LISTEN", s.AdminListen)
	e.positive("KEYTURN_SHUTDOWN", s.Shutdown)
	e.reload(s.Reload)
	e.key(s.DeploymentKey)
	if s.Replicas != 1 && s.Replicas != 3 && s.Replicas != 5 {
		e.fault("KEYTURN_REPLICAS", "is no number of copies that can agree: use 1, 3 or 5")
	}
	e.outcome(s.Outcome)
	e.nats(s.NATS, true)
	return s, e.err()
}

// ToolFromEnv reads what the tool needs to reach a process that runs, or to look after its store. Whom that process
// tells, and how it ends, is not the tool's affair: whoever is on call may have the process's settings in their shell,
// and not its secrets. The error is Faults.
func ToolFromEnv() (Local, error) {
	var s Local
	e := newEnviron()
	e.fill(&s)
	e.faults = slices.DeleteFunc(e.faults, func(f Fault) bool { return strings.HasPrefix(f.Path, "KEYTURN_OUTCOME_") })
	e.listen("KEYTURN_LISTEN", s.Listen)
	e.key(s.DeploymentKey)
	e.nats(s.NATS, false)
	return s, e.err()
}

// LocalFromEnv reads the settings of serve and dev. The error is Faults.
func LocalFromEnv() (Local, error) {
	var s Local
	e := newEnviron()
	e.fill(&s)
	e.listen("KEYTURN_LISTEN", s.Listen)
	e.listen("KEYTURN_ADMIN_LISTEN", s.AdminListen)
	e.positive("KEYTURN_SHUTDOWN", s.Shutdown)
	e.reload(s.Reload)
	e.publicTLS(s.TLS)
	e.key(s.DeploymentKey)
	e.outcome(s.Outcome)
	e.nats(s.NATS, false)
	return s, e.err()
}

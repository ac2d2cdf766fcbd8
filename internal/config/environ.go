package config

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kelseyhightower/envconfig"

	"keyturn/internal/secret"
)

// environ reads settings with envconfig, one variable at a time: envconfig by itself stops at the first fault and
// prints the value that it could not read, which may be a secret.
type environ struct {
	refs   Resolver
	faults Faults
	bad    map[string]bool
}

func newEnviron() *environ {
	e := &environ{refs: Resolver{}.in("."), bad: map[string]bool{}}
	e.strangers()
	return e
}

func (e *environ) err() error { return e.faults.Err() }

func (e *environ) fault(name, what string) {
	if !e.bad[name] {
		e.faults = append(e.faults, Fault{Position: Position{File: "environment", Path: name}, What: what})
	}
	e.bad[name] = true
}

// fill sets every field of the struct that spec points to.
func (e *environ) fill(spec any) {
	for _, f := range fields(Prefix, reflect.ValueOf(spec).Elem()) {
		switch field := f.value.Addr().Interface().(type) {
		case *secret.Value:
			*field = e.secret(f)
		default:
			e.plain(f)
		}
	}
}

// field is one setting.
type field struct {
	name  string // of the environment variable
	tag   reflect.StructField
	value reflect.Value
}

// fields lists the settings of a struct and of the structs within it, named as envconfig names them.
func fields(prefix string, v reflect.Value) []field {
	var list []field
	for i := range v.NumField() {
		t := v.Type().Field(i)
		name := prefix + "_" + strings.ToUpper(splitWords(t.Name))
		if v.Field(i).Kind() == reflect.Struct && t.Type != reflect.TypeFor[secret.Value]() {
			list = append(list, fields(name, v.Field(i))...)
			continue
		}
		list = append(list, field{name: name, tag: t, value: v.Field(i)})
	}
	return list
}

// splitWords puts an underscore between the words of a Go name: AdminListen → Admin_Listen.
func splitWords(s string) string {
	return regexp.MustCompile(`([a-z0-9])([A-Z])`).ReplaceAllString(s, "${1}_${2}")
}

// plain reads one setting that is no secret.
func (e *environ) plain(f field) {
	if v, ok := os.LookupEnv(f.name); ok && strings.TrimSpace(v) == "" {
		e.fault(f.name, "is set but empty: give it a value, or unset it")
		return
	}
	one := reflect.New(reflect.StructOf([]reflect.StructField{f.tag}))
	if err := envconfig.Process(strings.TrimSuffix(f.name, "_"+strings.ToUpper(splitWords(f.tag.Name))), one.Interface()); err != nil {
		e.fault(f.name, "cannot be read: want "+wanted(f.value.Interface()))
		return
	}
	f.value.Set(one.Elem().Field(0))
}

// wanted says how a value of a type is written.
func wanted(v any) string {
	switch v.(type) {
	case bool:
		return "true or false"
	case int:
		return "a whole number"
	case time.Duration:
		return "a span of time such as 20s"
	case slog.Level:
		return "debug, info, warn or error"
	case Durability:
		return "group or always"
	case LogFormat:
		return "json or text"
	case Bytes:
		return "a size such as 8GiB, with KiB, MiB, GiB or TiB"
	}
	return "text"
}

// secret reads one secret: the variable itself, the file that NAME_FILE names, or the file of that name in the
// directory of systemd's credentials.
func (e *environ) secret(f field) secret.Value {
	direct, isDirect := os.LookupEnv(f.name)
	file, isFile := os.LookupEnv(f.name + "_FILE")
	switch {
	case isDirect && isFile:
		e.fault(f.name, "and "+f.name+"_FILE are both set: unset one of them")
	case isDirect && strings.TrimSpace(direct) == "":
		e.fault(f.name, "is set but empty: give it a value, or unset it")
	case isDirect:
		return secret.New(direct)
	case isFile:
		return e.secretFile(f.name, f.name+"_FILE", file)
	}
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" && !isDirect {
		full := filepath.Join(dir, CredentialName(f.name))
		if _, err := os.Stat(full); err == nil {
			return e.secretFile(f.name, f.name, full)
		}
	}
	if f.tag.Tag.Get("required") == "true" && !isDirect {
		e.fault(f.name, "is missing: set it, or "+f.name+"_FILE to a file that holds it: "+f.tag.Tag.Get("desc"))
	}
	return secret.Value{}
}

func (e *environ) secretFile(name, variable, file string) secret.Value {
	v, wrong := e.refs.fromFile(file)
	if wrong != "" {
		e.fault(variable, wrong)
		e.bad[name] = true
	}
	return v
}

// CredentialName is the name under which a secret setting is looked for in $CREDENTIALS_DIRECTORY
// (systemd.exec(5), LoadCredential): KEYTURN_DEPLOYMENT_KEY → keyturn_deployment_key.
func CredentialName(variable string) string { return strings.ToLower(variable) }

// strangers reports variables that look like a misspelled setting. Others that begin with the prefix are left alone:
// a secret that a file refers to may be called so, and Kubernetes adds variables of its own for a service.
func (e *environ) strangers() {
	known := names()
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, Prefix+"_") || slices.Contains(known, name) {
			continue
		}
		for _, k := range known {
			if len(name) <= 64 && editDistance(name, k) <= 2 {
				e.fault(name, "is no setting: did you mean "+k+"?")
				break
			}
		}
	}
}

// names lists every variable that some process reads.
func names() []string {
	var list []string
	for _, spec := range []any{&Ingest{}, &Worker{}, &Local{}} {
		for _, f := range fields(Prefix, reflect.ValueOf(spec).Elem()) {
			list = append(list, f.name)
			if f.value.Type() == reflect.TypeFor[secret.Value]() {
				list = append(list, f.name+"_FILE")
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (e *environ) listen(name, address string) {
	host, port, err := net.SplitHostPort(address)
	n, perr := strconv.Atoi(port)
	if err != nil || perr != nil || n < 0 || n > 65535 || strings.ContainsAny(host, " /") {
		e.fault(name, "is no address to listen on: write host:port, such as 127.0.0.1:8480")
	}
}

func (e *environ) positive(name string, d time.Duration) {
	if d <= 0 {
		e.fault(name, "must be a span of time above zero: write it as 20s")
	}
}

// key wants a deployment key that cannot be guessed: it is all that keeps the principals in subjects unknown.
func (e *environ) key(v secret.Value) {
	if !v.IsZero() && len(v.Reveal()) < minSecret {
		e.fault("KEYTURN_DEPLOYMENT_KEY", "is shorter than 16 bytes: make one with `openssl rand -hex 32`")
	}
}

func (e *environ) nats(n NATS, external bool) {
	if external && n.URL == "" && n.Context == "" {
		e.fault("KEYTURN_NATS_URL", "is missing: set it, or KEYTURN_NATS_CONTEXT; for one machine without NATS there is `keyturn serve`")
	}
	if n.URL != "" && n.Context != "" {
		e.fault("KEYTURN_NATS_CONTEXT", "and KEYTURN_NATS_URL are both set: unset one of them")
	}
	if n.Creds != "" && n.Nkey != "" {
		e.fault("KEYTURN_NATS_NKEY", "and KEYTURN_NATS_CREDS are both set: unset one of them")
	}
	if (n.TLS.Cert == "") != (n.TLS.Key == "") {
		e.fault("KEYTURN_NATS_TLS_CERT", "and KEYTURN_NATS_TLS_KEY belong together: set both, or neither")
	}
	if n.URL != "" {
		for server := range strings.SplitSeq(n.URL, ",") {
			if !hasScheme(strings.TrimSpace(server), "nats", "tls", "ws", "wss") {
				e.fault("KEYTURN_NATS_URL", "has an entry that is no address of a NATS server: write nats://host:4222 or tls://host:4222")
			}
		}
	}
	for server := range strings.SplitSeq(n.Monitor, ",") {
		if n.Monitor != "" && !hasScheme(strings.TrimSpace(server), "http", "https") {
			e.fault("KEYTURN_NATS_MONITOR", "has an entry that is no address of a monitoring port: write http://host:8222 for every server, separated by commas")
		}
	}
}

func hasScheme(s string, schemes ...string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && slices.Contains(schemes, u.Scheme)
}

// Usage writes the settings of a process as a table: variable, default and meaning. The spec is a pointer to Ingest,
// Worker or Local.
func Usage(w io.Writer, spec any) error {
	v := reflect.ValueOf(spec)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return errors.New("usage: want a pointer to a struct of settings")
	}
	tabs := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range fields(Prefix, v.Elem()) {
		desc, value := f.tag.Tag.Get("desc"), f.tag.Tag.Get("default")
		if f.tag.Tag.Get("required") == "true" {
			value = "(required)"
		}
		if f.value.Type() == reflect.TypeFor[secret.Value]() {
			desc += "; or a file with it in " + f.name + "_FILE"
		}
		if _, err := io.WriteString(tabs, f.name+"\t"+value+"\t"+desc+"\n"); err != nil {
			return err
		}
	}
	return tabs.Flush()
}

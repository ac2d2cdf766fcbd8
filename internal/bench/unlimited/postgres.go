package unlimited

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// errNoPostgres: there is no PostgreSQL here, or no way to build its driver's module.
var errNoPostgres = errors.New("no PostgreSQL to compare with")

// postgres is a server of its own over a temporary directory, reached by a socket in it, and the queue's binary.
type postgres struct {
	dir   string
	bin   string // of the server
	queue string // the binary
	as    *syscall.Credential
	cmd   *exec.Cmd
}

// settings of the server: its defaults but for what a machine of this size is tuned by. Durability is not touched:
// fsync, full_page_writes and synchronous_commit are on.
var postgresSettings = []string{
	"listen_addresses=", "shared_buffers=256MB", "max_connections=100", "max_wal_size=4GB", "checkpoint_timeout=30min", "wal_buffers=16MB",
}

// newPostgres builds the queue and makes a server's directory in dir. What is missing for it is errNoPostgres.
func newPostgres(ctx context.Context, dir string) (_ *postgres, err error) {
	p := &postgres{dir: filepath.Join(dir, "pg"), queue: filepath.Join(dir, "pgqueue")}
	if p.bin, err = binaries(); err != nil {
		return nil, err
	}
	build := exec.CommandContext(ctx, "go", "build", "-C", "tools/pgqueue", "-o", p.queue, ".")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: build tools/pgqueue from the repository's root: %w: %s", errNoPostgres, err, bytes.TrimSpace(out))
	}
	if err := p.prepare(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoPostgres, err)
	}
	return p, nil
}

// start starts the server and waits until it takes connections. It runs while it is measured and at no other time: what it
// writes to disk of itself, and its cleaning of tables, would be taken from the sides that come after it.
func (p *postgres) start(ctx context.Context) error {
	args := []string{"-D", filepath.Join(p.dir, "data"), "-k", p.dir}
	for _, s := range postgresSettings {
		args = append(args, "-c", s)
	}
	p.cmd = p.command(ctx, "postgres", args...)
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGINT) } // a fast shutdown
	p.cmd.WaitDelay = 10 * time.Second
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("PostgreSQL: %w", err)
	}
	for deadline := time.Now().Add(20 * time.Second); p.command(ctx, "pg_isready", "-q", "-h", p.dir).Run() != nil; {
		if time.Now().After(deadline) || ctx.Err() != nil {
			return errors.Join(errors.New("PostgreSQL did not become ready"), p.stop())
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}

// binaries finds the newest server of the distribution, or the one in the path.
func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err == nil && len(found) > 0 {
		return found[len(found)-1], nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", fmt.Errorf("%w: neither /usr/lib/postgresql nor initdb in the path", errNoPostgres)
	}
	return filepath.Dir(path), nil
}

// prepare makes the directory and the cluster in it. The server does not run as root: it runs as the user postgres then.
func (p *postgres) prepare(ctx context.Context) error {
	if err := os.Mkdir(p.dir, 0o700); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			return err
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		p.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := errors.Join(os.Chown(p.dir, int(uid), int(gid)), os.Chmod(filepath.Dir(p.dir), 0o711)); err != nil {
			return err
		}
	}
	if out, err := p.command(ctx, "initdb", "-D", filepath.Join(p.dir, "data"), "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C").CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// command is one of the server's programs, as the user that it runs as.
func (p *postgres) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, name), args...)
	cmd.Dir = p.dir
	if p.as != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	}
	return cmd
}

// stop ends the server and waits for it: what it has not written yet is on disk then.
func (p *postgres) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	_ = p.cmd.Wait() // it was told to end
	return nil
}

// queued has the queue on PostgreSQL do the jobs, in the way that its flags say.
func (b *bench) queued(ctx context.Context, j jobs, flags ...string) (_ spent, err error) {
	if err := b.postgres.start(ctx); err != nil {
		return spent{}, err
	}
	defer func() { err = errors.Join(err, b.postgres.stop()) }()
	var in bytes.Buffer
	enc := json.NewEncoder(&in)
	for i := range j.count {
		if err := enc.Encode(callsOf(j.user(i), j.suspended)); err != nil {
			return spent{}, err
		}
	}
	flags = append(flags, "-dsn", "host="+b.postgres.dir+" user=bench dbname=postgres", "-base", b.provider.URL, "-calls", strconv.Itoa(inFlight))
	cmd := exec.CommandContext(ctx, b.postgres.queue, flags...)
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return spent{}, fmt.Errorf("pgqueue: %w", err)
	}
	var got struct {
		Jobs    int
		Seconds float64
	}
	if err := json.Unmarshal(out, &got); err != nil {
		return spent{}, err
	}
	if got.Jobs != j.count {
		return spent{}, fmt.Errorf("pgqueue did %d of %d jobs", got.Jobs, j.count)
	}
	return spent{time: time.Duration(got.Seconds * float64(time.Second))}, nil
}

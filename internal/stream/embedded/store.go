package embedded

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nats-io/nats-server/v2/server"

	"keyturn/internal/secret"
)

// Our files in a store.
const (
	fileLock    = "lock"
	fileUnclean = "unclean"
	fileFailed  = "failed"
	fileNATS    = "nats.json"
	fileKey     = "deployment.key"
	fileWhole   = "whole"
)

// store is an open store directory.
type store struct {
	dir  string
	at   string      // where its files are reached, wherever the directory was moved to meanwhile; dir where the system has no such way
	root *os.File    // open for the process's life: write-back errors are reported once per open file
	lock *os.File    // held
	is   os.FileInfo // the directory that was opened
}

// openStore opens the directory, makes it when it is not there, and takes its lock.
func openStore(dir string) (*store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store %s: it must be a directory, or a name where one can be made: %w", dir, err)
	}
	root, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, fileLock), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	if err := tryLock(lock); err != nil {
		return nil, errors.Join(fmt.Errorf("store %s: another process uses it: stop that first: %w", dir, err), lock.Close(), root.Close())
	}
	is, err := root.Stat()
	if err != nil {
		return nil, errors.Join(err, lock.Close(), root.Close())
	}
	return &store{dir: dir, at: reach(root, dir), root: root, lock: lock, is: is}, nil
}

// inPlace fails when the store is not where it was opened any more: what is written goes with it, and whoever reads the
// directory that its path names, as the next start will, finds nothing of that.
func (s *store) inPlace() error {
	if found, err := os.Stat(s.dir); err != nil || !os.SameFile(s.is, found) {
		return fmt.Errorf("store %s: it was moved away or replaced while this process ran over it", s.dir)
	}
	return nil
}

// close gives the store up.
func (s *store) close() error { return errors.Join(s.root.Close(), s.lock.Close()) }

// has reports whether one of our files is there.
func (s *store) has(name string) bool {
	_, err := os.Stat(filepath.Join(s.at, name))
	return err == nil
}

// used is what the server's files take, in bytes. What cannot be read counts for nothing.
func (s *store) used() int64 {
	var size int64
	_ = filepath.WalkDir(filepath.Join(s.dir, server.JetStreamStoreDir), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			size += info.Size()
		}
		return nil
	})
	return size
}

// mark says that the store is in use, durably, and reports whether it said so already: the last stop was unclean.
func (s *store) mark() (unclean bool, err error) {
	if s.has(fileUnclean) {
		return true, nil
	}
	if err := s.put(fileUnclean, []byte("in use, or not stopped cleanly\n")); err != nil {
		return false, err
	}
	// Dying here: the list of before stands beside the mark, and nobody asks it while the mark does; the next clean stop puts
	// another one in its place.
	return false, s.remove(fileWhole)
}

// unmark says that the store was left clean, durably, and of which files it is: a copy must have all of them.
func (s *store) unmark() error {
	sizes, err := s.sizes()
	if err != nil {
		return err
	}
	data, err := json.Marshal(sizes)
	if err != nil {
		return err
	}
	if err := s.put(fileWhole, data); err != nil {
		return err
	}
	// Dying here: the list is there and the mark too: it counts for a stop that was not clean, and nobody asks the list.
	return s.remove(fileUnclean)
}

// sizes gives each file that a copy must have, by its path in the store, and its bytes.
func (s *store) sizes() (map[string]int64, error) {
	sizes := map[string]int64{}
	add := func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && !d.Type().IsRegular() {
			return nil // no key of its own, for one
		}
		if err != nil {
			return err
		}
		name, nerr := filepath.Rel(s.at, path)
		info, err := d.Info()
		if err := errors.Join(nerr, err); err != nil {
			return err
		}
		sizes[filepath.ToSlash(name)] = info.Size()
		return nil
	}
	err := errors.Join(filepath.WalkDir(filepath.Join(s.at, server.JetStreamStoreDir), add), filepath.WalkDir(filepath.Join(s.at, fileKey), add))
	return sizes, err
}

// remove removes one of our files, durably.
func (s *store) remove(name string) error {
	if err := os.Remove(filepath.Join(s.at, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.root.Sync()
}

// put writes one of our files, owner-only, whole and durably: it is there with all of data, or as it was.
func (s *store) put(name string, data []byte) error { return put(s.root, s.at, name, data) }

func put(root *os.File, dir, name string, data []byte) error {
	f, err := os.CreateTemp(dir, "."+name+"-*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return root.Sync()
}

// random is a new secret of 130 bits or more.
func random() string { return rand.Text() }

// ErrNoKey: a store holds streams, and not the key that they were made with.
var ErrNoKey = errors.New("the store has a ledger, and not the key that it was made with")

// DeploymentKey reads the key under which principals are hashed, making it in a new store: without it nobody can tell
// whom a subject is about, and a new one would lose every person's history. It is owner-only and on disk when it is
// returned. It may be called before Start, and while the server runs, but before the first streams are made: over
// streams no key is made, and the error is ErrNoKey.
func DeploymentKey(dir string) (secret.Value, error) {
	path := filepath.Join(dir, fileKey)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if made, _ := filepath.Glob(filepath.Join(dir, server.JetStreamStoreDir, "*", "streams", "*")); len(made) > 0 {
			return secret.Value{}, fmt.Errorf("deployment key: %w: put %s back from the backup, or set KEYTURN_DEPLOYMENT_KEY "+
				"or KEYTURN_DEPLOYMENT_KEY_FILE to that key", ErrNoKey, path)
		}
		data, err = makeKey(dir)
	}
	if err != nil {
		return secret.Value{}, fmt.Errorf("deployment key: %w", err)
	}
	if len(data) < minKey {
		return secret.Value{}, fmt.Errorf("deployment key: %s holds %d bytes, less than %d", path, len(data), minKey)
	}
	return secret.New(string(data)), nil
}

// minKey is the least length of a deployment key, in bytes: what makeKey writes.
const minKey = 52

// makeKey writes a new key: two random texts of 130 bits each. Of two processes that make one at the same time the
// first wins: link does not replace.
func makeKey(dir string) ([]byte, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	tmp := "." + fileKey + "-" + random()
	if err := put(root, dir, tmp, []byte(random()+random())); err != nil {
		return nil, err
	}
	defer os.Remove(filepath.Join(dir, tmp))
	path := filepath.Join(dir, fileKey)
	if err := os.Link(filepath.Join(dir, tmp), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := root.Sync(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

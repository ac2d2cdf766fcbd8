package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
)

// Report is what Check found.
type Report struct {
	Unclean bool           `json:"unclean"`          // the last stop was not clean
	Failed  string         `json:"failed,omitempty"` // why the last barrier failed, when it did
	Streams []StreamReport `json:"streams"`
	Differs []string       `json:"differs,omitempty"` // files that are not as the last clean stop left them, and how
	Unknown bool           `json:"unknown,omitempty"` // nothing says which files must be there: no clean stop left a list of them
}

// StreamReport is one stream as the disk holds it.
type StreamReport struct {
	Name     string `json:"name"`
	Messages uint64 `json:"messages"` // intact ones, with those that were removed but not yet cleaned up
	Last     uint64 `json:"last"`     // sequence of the newest
	Damaged  int    `json:"damaged"`  // places where what follows is intact again
	Torn     int    `json:"torn"`     // bytes at the end of the newest block that are no message
}

// ErrDamaged: the disk does not hold everything that it should.
var ErrDamaged = errors.New("store is damaged")

// Check reads every message of the store of dir as its disk holds it, verifies its hash, and takes the mark of a failed
// barrier off when all are intact. It changes nothing else. With ErrDamaged, restore the store from a backup: a server
// that is started over it cuts off what follows the damage.
//
// What a failed barrier or a power cut tore off at the very end was never answered as stored, and its senders repeat
// it: that is no damage.
func Check(ctx context.Context, dir string) (Report, error) {
	if _, err := os.Stat(dir); err != nil {
		return Report{}, fmt.Errorf("check store: %w", err)
	}
	if !isStore(dir) {
		return Report{}, fmt.Errorf("check store: %w: %s has no stream: name the directory that has %s in it, or copy it anew",
			ErrDamaged, dir, server.JetStreamStoreDir)
	}
	st, err := openStore(dir)
	if err != nil {
		return Report{}, fmt.Errorf("check store: %w", err)
	}
	rep, err := st.check(ctx)
	if err == nil {
		// Dying before this line: the store must be checked again.
		err = st.remove(fileFailed)
	}
	if err := errors.Join(err, st.close()); err != nil {
		return rep, fmt.Errorf("check store %s: %w", st.dir, err)
	}
	return rep, nil
}

// isStore reports whether dir has anything of a store: its first start may have been cut off.
func isStore(dir string) bool {
	for _, sign := range []string{fileUnclean, fileFailed, filepath.Join(server.JetStreamStoreDir, "*", "streams", "*", "msgs")} {
		if found, _ := filepath.Glob(filepath.Join(dir, sign)); len(found) > 0 {
			return true
		}
	}
	return false
}

// check reads the store's marks and its streams.
func (s *store) check(ctx context.Context) (Report, error) {
	rep := Report{Unclean: s.has(fileUnclean)}
	if why, err := os.ReadFile(filepath.Join(s.dir, fileFailed)); err == nil {
		rep.Failed = strings.TrimSpace(string(why))
	}
	// <store>/jetstream/<account>/streams/<stream>/msgs/<number>.blk
	dirs, err := filepath.Glob(filepath.Join(s.dir, server.JetStreamStoreDir, "*", "streams", "*", "msgs"))
	if err != nil {
		return rep, err
	}
	for _, dir := range dirs {
		r, err := checkStream(ctx, dir)
		if err != nil {
			return rep, fmt.Errorf("stream %s: %w", r.Name, err)
		}
		rep.Streams = append(rep.Streams, r)
	}
	if err := s.compare(&rep); err != nil {
		return rep, err
	}
	return rep, rep.damage()
}

// compare holds the files of a store against the list that a clean stop leaves. A copy that was cut off has fewer of them,
// or shorter ones, and one into an older copy has more: a server would take what is there for all that there ever was.
func (s *store) compare(rep *Report) error {
	data, err := os.ReadFile(filepath.Join(s.at, fileWhole))
	if rep.Unclean || rep.Failed != "" || errors.Is(err, fs.ErrNotExist) {
		rep.Unknown = true
		return nil
	}
	if err != nil {
		return err
	}
	var left map[string]int64
	if json.Unmarshal(data, &left) != nil {
		rep.Differs = append(rep.Differs, fileWhole+": is not all there")
		return nil
	}
	found, err := s.sizes()
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		switch size, there := found[name]; {
		case !there:
			rep.Differs = append(rep.Differs, name+": is missing")
		case size != left[name]:
			rep.Differs = append(rep.Differs, fmt.Sprintf("%s: has %d bytes, and had %d", name, size, left[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if _, was := left[name]; !was && name != fileKey { // a key may have been brought back
			rep.Differs = append(rep.Differs, name+": was not there")
		}
	}
	return nil
}

// damage names the streams that are not intact.
func (r Report) damage() error {
	var bad []string
	for _, s := range r.Streams {
		if s.Damaged > 0 {
			bad = append(bad, fmt.Sprintf("stream %s in %d places", s.Name, s.Damaged))
		}
	}
	if n := len(r.Differs); n > 0 {
		bad = append(bad, fmt.Sprintf("%d of its files are not as the last stop left them: if it is a copy, make it anew", n))
	}
	if bad != nil {
		return fmt.Errorf("%w: %s", ErrDamaged, strings.Join(bad, ", "))
	}
	return nil
}

// checkStream reads the blocks of one stream. Only the newest block may be torn.
func checkStream(ctx context.Context, dir string) (StreamReport, error) {
	rep := StreamReport{Name: filepath.Base(filepath.Dir(dir))}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return rep, err
	}
	newest, torn := -1, map[int]int{}
	for _, e := range entries {
		number, err := strconv.Atoi(strings.TrimSuffix(e.Name(), ".blk"))
		if err != nil {
			continue // an index, which the server can make again
		}
		if err := ctx.Err(); err != nil {
			return rep, err
		}
		b, err := readBlock(rep.Name, number, filepath.Join(dir, e.Name()))
		if err != nil {
			return rep, err
		}
		newest, torn[number] = max(newest, number), b.torn
		rep.Messages += b.messages
		rep.Last = max(rep.Last, b.last)
		rep.Damaged += b.damaged
	}
	for number, n := range torn {
		if number == newest {
			rep.Torn = n
		} else if n > 0 {
			rep.Damaged++
		}
	}
	return rep, nil
}

// readBlock scans a block file as the disk holds it: after a failed write-back the kernel's memory may hold what the
// disk does not, so that the file is written out and dropped from memory first.
func readBlock(stream string, number int, path string) (block, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return block{}, nil
	}
	if err != nil {
		return block{}, err
	}
	if err := errors.Join(f.Sync(), evict(f.Fd()), f.Close()); err != nil {
		return block{}, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return block{}, err
	}
	return scanBlock(stream, number, data)
}

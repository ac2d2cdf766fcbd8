//go:build !race

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// skewEnv says, to a command that buildSkewed built, by how many seconds its clock is off.
const skewEnv = "CHAOS_SKEW_SECONDS"

// build builds the two commands of a cluster into a directory.
func build(dir string, flags ...string) (string, error) {
	args := append([]string{"build", "-buildvcs=false", "-o", dir + string(filepath.Separator)}, flags...)
	out, err := exec.Command("go", append(args, "keyturn/cmd/ingest", "keyturn/cmd/worker")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return dir, nil
}

// buildSkewed builds the commands over a time package whose Now is off by what the environment says: a machine whose
// clock is wrong, with no word about it in our code. Clocks that only measure (monotonic ones) are right, as on such a
// machine.
func buildSkewed(t *testing.T) (string, error) {
	t.Helper()
	dir := t.TempDir()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	file := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	const clock = "sec, nsec, mono := runtimeNow()\n"
	if bytes.Count(text, []byte(clock)) != 1 {
		return "", fmt.Errorf("%s reads the clock in another way than this test knows", file)
	}
	text = bytes.Replace(text, []byte(clock), []byte(clock+"\tsec += skew\n"), 1)
	other, extra := filepath.Join(dir, "time.go"), filepath.Join(dir, "skew.go")
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{file: other, filepath.Join(filepath.Dir(file), "skew.go"): extra}})
	if err != nil {
		return "", err
	}
	for path, content := range map[string][]byte{other: text, extra: []byte(skewSource), filepath.Join(dir, "overlay.json"): overlay} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return "", err
		}
	}
	return build(filepath.Join(dir, "bin"), "-overlay", filepath.Join(dir, "overlay.json"))
}

// skewSource reads how far the clock is off, with what a package below strconv and os has at hand.
const skewSource = `package time

import "syscall"

var skew = func() (n int64) {
	text, _ := syscall.Getenv("` + skewEnv + `")
	sign := int64(1)
	for _, c := range []byte(text) {
		if c == '-' {
			sign = -1
			continue
		}
		n = n*10 + int64(c-'0')
	}
	return sign * n
}()
`

// skew lets the clocks of a worker and of an intake be five minutes off, one ahead and one behind, and gives what puts them
// right.
func (c *chaos) skew() (right func()) {
	wrong := []*part{c.one(c.site.workers[:]), c.one(c.site.intakes[:])}
	off := []string{"300", "-300"}
	if c.rng.IntN(2) == 0 {
		off[0], off[1] = off[1], off[0]
	}
	c.courier.lenient.Store(true)
	for i, p := range wrong {
		p.skew = off[i]
		p.stop(c.t)
		p.start(c.t)
		c.faults["a clock is 5 minutes off"]++
		c.log("the clock of %s is off by %s s", p.name, p.skew)
	}
	c.site.settled(c.t)
	for _, p := range wrong {
		want := "this clock is 5m0s " + map[bool]string{true: "behind", false: "ahead of"}[strings.HasPrefix(p.skew, "-")]
		await(c.t, patience, p.name+" to say "+want, func() bool { _, text := p.says(); return strings.Contains(text, want) })
		c.said++
	}
	return func() {
		for _, p := range wrong {
			p.skew = ""
			p.stop(c.t)
			p.start(c.t)
		}
		c.site.settled(c.t)
		c.courier.lenient.Store(false)
	}
}

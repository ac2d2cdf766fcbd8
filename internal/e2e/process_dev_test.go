package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestDev runs the tool as a newcomer does: start it, paste the line that it prints, and look what became of it.
func TestDev(t *testing.T) {
	t.Parallel()
	store := filepath.Join(t.TempDir(), "store")
	first := devOnce(t, store, nil)
	second := devOnce(t, store, []string{first})
	if first == second {
		t.Errorf("both runs had the case %s", first)
	}
	if info, err := os.Stat(filepath.Join(store, "config", "secrets", "siem")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the sample's secret: %v, %v", info, err)
	}
}

// devOnce runs dev over the store, sends what it prints, and wants the case of it done and proven, as well as those of
// earlier runs. It gives the case.
func devOnce(t *testing.T, store string, earlier []string) string {
	t.Helper()
	dev := newProc(t, "dev", func() *exec.Cmd {
		return command(t, "keyturn", []string{"KEYTURN_LISTEN=127.0.0.1:0", "KEYTURN_ADMIN_LISTEN=127.0.0.1:0", "KEYTURN_STORE_MAX_BYTES=1GiB"},
			"dev", "--store", store)
	})
	dev.start(t)
	await(t, patience, "dev to say what to do", func() bool { return strings.Contains(dev.said(), "Interrupt to stop") || !dev.alive() })
	var answer []byte
	await(t, patience, "dev to take the line that it prints", func() bool {
		var status int
		status, answer = paste(t, dev.said())
		return status == http.StatusAccepted
	})
	var accepted struct{ Cases []string }
	if err := json.Unmarshal(answer, &accepted); err != nil || len(accepted.Cases) != 1 {
		t.Fatalf("the printed line was answered %s: %v", answer, err)
	}
	id := accepted.Cases[0]
	if code, _, text := run(t, "keyturn", nil, "case", id, "--watch", "--store", store); code != 0 {
		t.Errorf("case --watch: exit code %d: %s", code, text)
	}
	for _, one := range append(earlier, id) {
		wantProven(t, store, one)
	}
	if code, out, text := run(t, "keyturn", nil, "audit", "verify", "--store", store); code != 0 {
		t.Errorf("audit verify: exit code %d: %s%s", code, out, text)
	}
	dev.stop(t)
	return id
}

// wantProven wants a case closed, every action of it at its end state, and its records unbroken.
func wantProven(t *testing.T, store, id string) {
	t.Helper()
	code, out, text := run(t, "keyturn", nil, "case", id, "--json", "--store", store)
	var view struct {
		State   string
		Actions []struct{ Do, State string }
		Chain   struct{ Verified bool }
	}
	if err := json.Unmarshal([]byte(out), &view); code != 0 || err != nil {
		t.Fatalf("case %s: exit code %d, %v: %s", id, code, err, text)
	}
	if !strings.HasPrefix(view.State, "closed") || !view.Chain.Verified || len(view.Actions) == 0 {
		t.Errorf("case %s is %s, chain verified: %v, %d actions", id, view.State, view.Chain.Verified, len(view.Actions))
	}
	for _, a := range view.Actions {
		blind := a.Do == "okta.clear_sessions" && a.State == "applied" // nobody can read sessions back
		if a.State != "verified" && !blind {
			t.Errorf("case %s: %s is %s", id, a.Do, a.State)
		}
	}
}

// paste does what a shell and curl do with the command line that stands in a text.
func paste(t *testing.T, text string) (status int, answer []byte) {
	t.Helper()
	_, line, found := strings.Cut(text, "curl ")
	if !found {
		t.Fatalf("no curl in:\n%s", text)
	}
	var url, body string
	header := http.Header{}
	words := shellWords(line)
	for i := 0; i < len(words); i++ {
		switch word := words[i]; {
		case word == "-H" && i+1 < len(words):
			i++
			name, value, _ := strings.Cut(words[i], ": ")
			header.Add(name, value)
		case word == "-d" && i+1 < len(words):
			i++
			body = words[i]
		case strings.HasPrefix(word, "http://"):
			url = word
		case !strings.HasPrefix(word, "-"):
			t.Fatalf("curl would take %q for an address", word)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// shellWords splits a command line as POSIX says: single quotes, backslashes, and the end of the line.
func shellWords(line string) []string {
	var words []string
	var word strings.Builder
	begun, quoted := false, false
	end := func() {
		if begun {
			words = append(words, word.String())
		}
		word.Reset()
		begun = false
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quoted && c == '\'':
			quoted = false
		case quoted:
			word.WriteByte(c)
		case c == '\'':
			quoted, begun = true, true
		case c == '\\' && i+1 < len(line) && line[i+1] == '\n':
			i++
		case c == '\\' && i+1 < len(line):
			i++
			word.WriteByte(line[i])
			begun = true
		case c == '\n':
			end()
			return words
		case c == ' ':
			end()
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	end()
	return words
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// answering is the name under which this binary answers one command line after another. Under the race detector, starting
// a process and filling its tables cost more than most command lines do, and the scripts have four hundred of them.
const answering = "keyturn-answering"

// call is one command line with the surroundings that a script may change between two of them.
type call struct {
	Args []string
	Dir  string
	Env  map[string]string // "" = not set
}

// answer is what a process would have left.
type answer struct {
	Code     int
	Out, Err []byte
}

// answerCalls runs the command lines that come over standard input, until it ends.
func answerCalls() {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var c call
		if err := in.Decode(&c); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			panic(err)
		}
		if err := out.Encode(c.answer()); err != nil {
			panic(err)
		}
	}
}

// answer does what main does, with nothing on standard input.
func (c call) answer() answer {
	for name, value := range c.Env {
		if err := setenv(name, value); err != nil {
			panic(err)
		}
	}
	if err := os.Chdir(c.Dir); err != nil {
		panic(err)
	}
	var out, err bytes.Buffer
	code := exitCode(run(context.Background(), c.Args, strings.NewReader(""), &out, &err))
	return answer{Code: code, Out: out.Bytes(), Err: err.Bytes()}
}

func setenv(name, value string) error {
	if value == "" {
		return os.Unsetenv(name)
	}
	return os.Setenv(name, value)
}

// answerer is the process that answers the calls of one script. It starts with the first of them.
type answerer struct {
	env   *testscript.Env
	dir   string   // of the scripts
	sets  []string // the variables that the script changes
	calls *json.Encoder
	from  *json.Decoder
	err   bytes.Buffer
}

type answererKey struct{}

// setting finds the lines of a script that change a variable.
var setting = regexp.MustCompile(`(?m)^env (\w+)=`)

// start begins the process with the script's environment. A process that does not end by itself and clean, and so one
// that saw a data race, fails the script.
func (a *answerer) start(ts *testscript.TestScript) error {
	script, err := os.ReadFile(filepath.Join(a.dir, ts.Name()+".txtar"))
	if err != nil {
		return err
	}
	for _, m := range setting.FindAllSubmatch(script, -1) {
		a.sets = append(a.sets, string(m[1]))
	}
	cmd := exec.Command(answering)
	cmd.Env, cmd.Stderr = append(a.env.Vars, "GORACE="+endAtOnce+" halt_on_error=1"), &a.err
	to, terr := cmd.StdinPipe()
	from, ferr := cmd.StdoutPipe()
	if err := errors.Join(terr, ferr); err != nil {
		return err
	}
	a.calls, a.from = json.NewEncoder(to), json.NewDecoder(from)
	if err := cmd.Start(); err != nil {
		return err
	}
	ts.Defer(func() {
		_ = to.Close() // it may have ended already
		if err := cmd.Wait(); err != nil {
			a.env.T().Fatal(fmt.Sprintf("%s: %v\n%s", answering, err, a.err.String()))
		}
	})
	return nil
}

// ask has a command line answered.
func ask(ts *testscript.TestScript, args []string) answer {
	if len(args) == 0 || args[0] != "keyturn" {
		ts.Fatalf("not a command line of keyturn: %q", args)
	}
	a := ts.Value(answererKey{}).(*answerer)
	if a.calls == nil {
		ts.Check(a.start(ts))
	}
	c := call{Args: args[1:], Dir: ts.MkAbs("."), Env: map[string]string{"PWD": ts.MkAbs(".")}}
	for _, name := range a.sets {
		c.Env[name] = ts.Getenv(name)
	}
	ts.Check(a.calls.Encode(c))
	var got answer
	if err := a.from.Decode(&got); err != nil {
		ts.Fatalf("%s ended: %v", answering, err)
	}
	return got
}

// show makes an answer the last output of the script.
func show(ts *testscript.TestScript, got answer) {
	_, oerr := ts.Stdout().Write(got.Out)
	_, eerr := ts.Stderr().Write(got.Err)
	ts.Check(errors.Join(oerr, eerr))
}

// cmdCall runs a command line that must succeed, as exec does, but in the process of the script: call keyturn …
func cmdCall(ts *testscript.TestScript, _ bool, args []string) { expect(ts, 0, args) }

// cmdFails runs a command line that must end with the given exit code, as exits does, but in the process of the script:
// fails CODE keyturn …
func cmdFails(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	expect(ts, want, args[1:])
}

func expect(ts *testscript.TestScript, want int, args []string) {
	got := ask(ts, args)
	show(ts, got)
	if got.Code != want {
		ts.Fatalf("exit code %d, want %d", got.Code, want)
	}
}

// cmdUntil repeats a command line in the process of the script until its output matches: until REGEXP keyturn …
func cmdUntil(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile(args[0])
	for deadline := time.Now().Add(20 * time.Second); ; {
		got := ask(ts, args[1:]) // may fail while what it asks for is not there yet
		switch {
		case want.Match(got.Out):
			show(ts, got)
			return
		case time.Now().After(deadline):
			show(ts, got)
			ts.Fatalf("never matched %q", args[0])
		}
	}
}

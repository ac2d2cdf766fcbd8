package actions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"keyturn/internal/secret"
)

// ClientSecret is what a sink is handed: the secret of a client that was created, and whose it is.
type ClientSecret struct {
	ClientID string
	Name     string // of the client
	Key      string // of the app that it was created for
	Secret   secret.Value
}

// Sink is where the secrets of created clients go, before the creation counts as done.
type Sink interface {
	// Store keeps the secret for good: when it returns nil, a power cut does not lose it. Repeating it is harmless.
	Store(ctx context.Context, c ClientSecret) error
	// Stored reports whether the sink has a secret of the client. readable is false for a sink that cannot tell.
	Stored(ctx context.Context, clientID string) (stored, readable bool, err error)
}

// written is the form in which a secret leaves: a line of JSON. It is the one place here that reveals it.
func (c ClientSecret) written() ([]byte, error) {
	line, err := json.Marshal(map[string]string{
		"client_id": c.ClientID, "client_secret": c.Secret.Reveal(), "name": c.Name, "key": c.Key,
	})
	return append(line, '\n'), err
}

// DirSink keeps each client's secret in a file <client id>.json of a directory, mode 0600. The directory must exist:
// who may read it is for its owner to decide.
type DirSink struct{ Dir string }

// Store implements Sink.
func (s DirSink) Store(_ context.Context, c ClientSecret) error {
	path, err := s.path(c.ClientID)
	if err != nil {
		return err
	}
	data, err := c.written()
	if err != nil {
		return fmt.Errorf("secret of %s: cannot be written as JSON", c.ClientID)
	}
	tmp, err := os.CreateTemp(s.Dir, ".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("secret of %s: %w", c.ClientID, err)
	}
	defer os.Remove(tmp.Name()) // of no use once renamed
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return fmt.Errorf("secret of %s: %w", c.ClientID, err)
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return fmt.Errorf("secret of %s: %w", c.ClientID, err)
	}
	// Dying here: the file has its name; whether a power cut leaves it is known after the directory is synced.
	return syncDir(s.Dir)
}

// Stored implements Sink: it reads the file back.
func (s DirSink) Stored(_ context.Context, clientID string) (stored, readable bool, err error) {
	path, err := s.path(clientID)
	if err != nil {
		return false, true, err
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, true, nil
	}
	if err != nil {
		return false, true, fmt.Errorf("secret of %s: %w", clientID, err)
	}
	var kept struct {
		ClientID string       `json:"client_id"`
		Secret   secret.Value `json:"client_secret"`
	}
	if json.Unmarshal(data, &kept) != nil || kept.ClientID != clientID || kept.Secret.IsZero() {
		return false, true, nil // cut off or of something else: it is written again
	}
	return true, true, syncDir(s.Dir)
}

// path is the file of a client. The id comes from the provider: it must not lead elsewhere.
func (s DirSink) path(clientID string) (string, error) {
	if clientID == "" || strings.HasPrefix(clientID, ".") || strings.Trim(clientID, "-_.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "", errors.New("secret sink: the client id is no file name")
	}
	return filepath.Join(s.Dir, clientID+".json"), nil
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("secret sink: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// commandTime bounds a run of a CommandSink's command.
const commandTime = 30 * time.Second

// CommandSink hands each client's secret to a command on its standard input, as one line of JSON. The secret is kept
// when the command ends with status 0; what it prints is not read, as it may repeat the secret. The same secret may
// come twice.
type CommandSink struct{ Command []string }

// Store implements Sink.
func (s CommandSink) Store(ctx context.Context, c ClientSecret) error {
	data, err := c.written()
	if err != nil {
		return fmt.Errorf("secret of %s: cannot be written as JSON", c.ClientID)
	}
	if len(s.Command) == 0 {
		return errors.New("secret sink: no command")
	}
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.Command[0], s.Command[1:]...)
	cmd.Stdin = bytes.NewReader(data)
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("secret of %s: %s: %w", c.ClientID, filepath.Base(s.Command[0]), err)
	}
	return nil
}

// Stored implements Sink: a command cannot be asked.
func (s CommandSink) Stored(context.Context, string) (stored, readable bool, err error) {
	return false, false, nil
}

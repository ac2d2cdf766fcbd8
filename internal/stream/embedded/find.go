package embedded

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"keyturn/internal/secret"
	"keyturn/internal/stream"
)

// fallbackRoom is taken for the free space of a store where it cannot be asked for, in bytes.
const fallbackRoom = 8 << 30

// address is the content of nats.json.
type address struct {
	URL        string            `json:"url"`
	User       string            `json:"user"`
	Password   string            `json:"password"`
	Durability stream.Durability `json:"durability"`
}

// announce writes where the server listens, for Find.
func (s *Server) announce() error {
	data, err := json.Marshal(address{URL: s.URL(), User: s.user, Password: s.pass.Reveal(), Durability: s.durability})
	if err != nil {
		return err
	}
	return s.store.put(fileNATS, append(data, '\n'))
}

// Find reads how to reach the server that runs over the store of dir from another process on this machine. Under Group
// the server's own process answers the barrier. It fails when no server announced itself; one that was killed leaves
// its file behind, and then the connection is refused.
func Find(dir string) (stream.Options, error) {
	path := filepath.Join(dir, fileNATS)
	data, err := os.ReadFile(path)
	if err != nil {
		return stream.Options{}, fmt.Errorf("find broker: %w", err)
	}
	var a address
	if err := json.Unmarshal(data, &a); err != nil {
		return stream.Options{}, fmt.Errorf("find broker: %s does not read as JSON", path) // the cause may quote it
	}
	return stream.Options{URL: a.URL, User: a.User, Password: secret.New(a.Password), Durability: a.Durability,
		AssertDurable: a.Durability == stream.Always}, nil
}

// lookTimeout bounds what a start asks its own server.
const lookTimeout = 30 * time.Second

// lookBack notes what each stream held when the server started after an unclean stop.
func (s *Server) lookBack() (stream.Boot, error) {
	nc, js, err := s.client()
	if err != nil {
		return stream.Boot{}, err
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(context.Background(), lookTimeout)
	defer cancel()
	boot := stream.Boot{ID: random(), Last: map[string]uint64{}}
	list := js.ListStreams(ctx)
	for info := range list.Info() {
		boot.Last[info.Config.Name] = info.State.LastSeq
	}
	return boot, list.Err()
}

// client connects to the server in-process.
func (s *Server) client() (*nats.Conn, jetstream.JetStream, error) {
	nc, err := nats.Connect("", nats.InProcessServer(s.nats), nats.UserInfo(s.user, s.pass.Reveal()), nats.Name("start"))
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return nc, js, nil
}

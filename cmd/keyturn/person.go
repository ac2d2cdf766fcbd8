package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"keyturn/internal/events"
)

// newPersonCmd makes `keyturn person`.
func newPersonCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "person IDENTIFIER",
		Short: "List every case of one person, device, client or app, newest first",
		Long: `List every case of one principal, newest first, whenever it was; of a person also those that came under another
name, as far as events have told which names are one person's ("keyturn person names").
IDENTIFIER is any one that an event gave: an e-mail, a login, an Okta id, an employee number, an ASA user name, a
device's host name, a client id, an app key; where one text can be several, write user:, device:, client: or app:
before it. With --json it is an array of case rows.`,
		Example: "  keyturn person maria@acme.example\n  keyturn person client:0oa2f9",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := identifiers(args[0])
			if err != nil {
				return usage(err)
			}
			s, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer s.close()
			keyer, err := s.keyer(cmd.Context())
			if err != nil {
				return err
			}
			rows, err := s.view.Person(cmd.Context(), keys(keyer, ids)...)
			if err != nil {
				return err
			}
			if len(rows) == 0 {
				return notFound(fmt.Errorf("person %s: no case", args[0]))
			}
			return a.printRows(rows, (*screen).caseRows, "")
		},
	}
	cmd.AddCommand(newNamesCmd(a), newUnmergeCmd(a))
	return cmd
}

// personKinds are the kinds of identifiers of a person; the others name things.
func personKinds() []events.Kind {
	return []events.Kind{events.OktaID, events.EmployeeNumber, events.Email, events.Login, events.ASAUsername}
}

// identifiers gives everything that text may be an identifier of: of the kind before its colon, else of each kind.
func identifiers(text string) ([]events.Identifier, error) {
	things := []events.Kind{events.DeviceHost, events.ClientID, events.AppKey}
	kinds, value := append(personKinds(), things...), text
	if prefix, rest, ok := strings.Cut(text, ":"); ok {
		switch kind := events.Kind(prefix); {
		case prefix == "user":
			kinds, value = personKinds(), rest
		case slices.Contains(kinds, kind):
			kinds, value = []events.Kind{kind}, rest
		}
	}
	var ids []events.Identifier
	for _, kind := range kinds {
		if id, ok := events.NewIdentifier(kind, value); ok {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("identifier %q: it is empty", text)
	}
	return ids, nil
}

// keys gives the keys under which the ledger lists the cases of the principals that the identifiers name.
func keys(keyer events.Keyer, ids []events.Identifier) []string {
	var list []string
	for _, id := range ids {
		list = append(list, keyer.Key(id.Principal()))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

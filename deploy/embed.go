// Package deploy carries the default configuration, so that `keyturn dev` and `keyturn demo` run on the same playbooks
// that an operator starts from.
package deploy

import "embed"

// Config holds config/sources.yaml, config/connections.yaml, config/playbooks.yaml and its tests.
//
//go:embed config/*.yaml
var Config embed.FS

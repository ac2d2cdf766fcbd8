// Package presets holds what is known of senders as data: one file per kind of sender, which says how it signs, shakes
// hands and is mapped to events, and its test cases. A new sender is a new file and its cases, and no code.
package presets

import "embed"

// FS has a file NAME.yaml for every preset, and its cases in testdata/NAME.
//
//go:embed *.yaml testdata
var FS embed.FS

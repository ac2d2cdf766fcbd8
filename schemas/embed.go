// Package schemas holds the JSON Schemas (2020-12) of everything that Keyturn takes from outside, embedded, so that
// no schema is ever fetched at run time.
//
// Every schema has an absolute, versioned `$id`. A published version is never changed in a way that refuses what it
// accepted: an incompatible change is a new version beside the old one.
package schemas

import "embed"

// FS has one directory per kind of schema: events (one file per event of the catalogue, `<name>.json`), types (what
// events share), config (configuration files, where they are present).
//
//go:embed */*.json
var FS embed.FS

// Base is the start of every `$id`. `$id` = Base + directory + "/" + file name without ".json" + "/v1.json".
const Base = "https://keyturn.dev/schemas/"

package worker

import (
	"slices"
	"strings"

	"keyturn/internal/config"
)

// pausable says what a pause of a target is about here. as is the target by which it stops something: that of a source is
// its dedup_scope. no says that there is no such thing, and what was probably meant; note what nobody here knows.
func (w *Worker) pausable(target string) (as, no, note string) {
	kind, name, _ := strings.Cut(target, ":")
	var known []string
	switch kind {
	case "connection":
		known = w.fleet.names()
	case "playbook":
		known = w.set.Load().Names()
	case "source":
		return w.pausableSource(target, name)
	default:
		return target, "", ""
	}
	if !slices.Contains(known, name) {
		no = "there is no " + kind + " of that name" + config.Suggest(name, known)
	}
	return target, no, ""
}

func (w *Worker) pausableSource(target, name string) (as, no, note string) {
	if w.opts.Sources == nil {
		return target, "", unsure
	}
	list, err := w.opts.Sources()
	if err != nil {
		return target, "", unsure
	}
	var known []string
	for _, s := range list {
		if s.DedupScope == name {
			return target, "", ""
		}
		known = append(known, s.Name)
	}
	if s, ok := list.Find(name); ok {
		return "source:" + s.DedupScope, "", "its events carry its dedup_scope, and so do those of every source that shares it"
	}
	return target, "there is no source of that name" + config.Suggest(name, known), ""
}

// unsure warns of a pause that may stop nothing.
const unsure = "no worker here reads sources.yaml: make sure that the name is a source's dedup_scope, or its name where it has none"

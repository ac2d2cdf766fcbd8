package config

import (
	"io/fs"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"keyturn/internal/ingest/presets"
)

// Custom is the preset of a source that says everything itself.
const Custom = "custom"

// Presets lists the names of the presets, sorted.
func Presets() []string {
	var names []string
	files, _ := fs.Glob(presets.FS, "*.yaml")
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f, ".yaml"))
	}
	return names
}

// origin is the file that a node of a document came from, if not the document's own.
type origin struct {
	file  string
	lines []string
}

// layPresets puts the keys of every source over those of its preset, before anything is checked: what a preset leaves
// out the source must say, and what the source says counts.
func layPresets(d *document) {
	_, list := child(d.root, "sources")
	if list == nil || list.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(list.Content); i += 2 {
		source := target(list.Content[i+1])
		if source.Kind != yaml.MappingNode {
			continue
		}
		_, name := child(source, "preset")
		if name == nil || name.Kind != yaml.ScalarNode || name.Value == Custom {
			continue
		}
		if base := d.preset(name.Value); base != nil {
			list.Content[i+1] = merge(source, base, source.Content[:0:0])
		}
	}
}

// preset parses a preset, nil when there is none of that name. Its nodes know where they came from.
func (d *document) preset(name string) *yaml.Node {
	if !slices.Contains(Presets(), name) {
		return nil
	}
	b, err := presets.FS.ReadFile(name + ".yaml")
	if err != nil {
		return nil
	}
	file := "presets/" + name + ".yaml"
	root, ok := d.reader.yaml(file, b)
	if !ok {
		return nil
	}
	if d.others == nil {
		d.others = map[*yaml.Node]*origin{}
	}
	d.adopt(root, &origin{file: file, lines: strings.Split(string(b), "\n")})
	return root
}

// adopt remembers where a node and all below it came from. A preset has no aliases.
func (d *document) adopt(node *yaml.Node, from *origin) {
	d.others[node] = from
	for _, below := range node.Content {
		d.adopt(below, from)
	}
}

// merge is a mapping with the keys of over, and those of base that over does not have. A key that is nothing (null) in
// over is taken away. Mappings are merged in their turn, but what verifies in a way of its own.
func merge(over, base *yaml.Node, content []*yaml.Node) *yaml.Node {
	for i := 0; i+1 < len(over.Content); i += 2 {
		key, value := over.Content[i], target(over.Content[i+1])
		_, below := child(base, key.Value)
		switch {
		case value.Kind == yaml.ScalarNode && value.ShortTag() == "!!null" && below != nil:
			continue
		case below == nil || value.Kind != yaml.MappingNode || below.Kind != yaml.MappingNode:
		case key.Value == "verify":
			value = mergeProof(value, below)
		default:
			value = merge(value, below, nil)
		}
		content = append(content, key, value)
	}
	for i := 0; i+1 < len(base.Content); i += 2 {
		if key, _ := child(over, base.Content[i].Value); key == nil {
			content = append(content, base.Content[i], base.Content[i+1])
		}
	}
	merged := *over
	merged.Content = content
	return &merged
}

// mergeProof joins what a source says about verifying with what its preset says. The same kind is merged; of several
// kinds of a preset, one below any_of is picked by its name, and one below all_of is merged where it stands. A list is
// merged entry by entry with what the preset says of each kind. Another kind replaces the preset's.
func mergeProof(over, base *yaml.Node) *yaml.Node {
	if len(over.Content) != 2 {
		return over
	}
	kind := over.Content[0].Value
	if _, same := child(base, kind); same != nil && same.Kind == yaml.MappingNode {
		return merge(over, base, nil)
	}
	_, all := child(base, "all_of")
	_, either := child(base, "any_of")
	switch {
	case kind == "all_of" || kind == "any_of":
		merged, list := *over, *over.Content[1]
		merged.Content, list.Content = []*yaml.Node{over.Content[0], &list}, nil
		for _, entry := range target(over.Content[1]).Content {
			list.Content = append(list.Content, mergeProof(target(entry), base))
		}
		return &merged
	case ofKind(all, kind) >= 0:
		merged, list := *base, *all
		list.Content = slices.Clone(all.Content)
		i := ofKind(all, kind)
		list.Content[i] = merge(over, all.Content[i], nil)
		merged.Content = []*yaml.Node{base.Content[0], &list}
		return &merged
	case ofKind(either, kind) >= 0:
		return merge(over, either.Content[ofKind(either, kind)], nil)
	}
	return over
}

// ofKind is the index of the entry of a list that is of a kind, -1 for none.
func ofKind(list *yaml.Node, kind string) int {
	if list == nil {
		return -1
	}
	return slices.IndexFunc(list.Content, func(entry *yaml.Node) bool { _, v := child(entry, kind); return v != nil })
}

package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// Insecure lists the sources that believe everybody, by name.
func (h *Handler) Insecure() []string {
	var names []string
	for name, s := range *h.sources.Load() {
		if s.insecure {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Notes are for /readyz?verbose: how many sources there are, and which of them believe everybody.
func (h *Handler) Notes() string {
	text := fmt.Sprintf("%d configured", len(*h.sources.Load()))
	if names := h.Insecure(); len(names) > 0 {
		text += "; insecure, whoever reaches the address can act as the sender: " + strings.Join(names, ", ")
	}
	return text
}

// warn logs the sources that believe everybody.
func (h *Handler) warn() {
	for _, name := range h.Insecure() {
		h.log.LogAttrs(context.Background(), slog.LevelWarn, "source is insecure: whoever reaches its address can act as the sender", slog.String("source", name))
	}
}

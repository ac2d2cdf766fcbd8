package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"keyturn/internal/reads"
)

// The forms in which rows are printed.
const (
	outTable = "table"
	outWide  = "wide"
	outJSON  = "json"
	outLines = "jsonl"
)

// rowPrinter prints rows page by page as they come, so that a listing of any length needs the memory of one page.
type rowPrinter struct {
	app     *app
	form    string
	columns []reads.Column
	widths  []int
	count   int
}

// page prints one page.
func (p *rowPrinter) page(page reads.Page) error {
	if p.columns == nil {
		for _, c := range page.Columns {
			if !c.Wide || p.form == outWide {
				p.columns = append(p.columns, c)
			}
		}
	}
	var b bytes.Buffer
	var err error
	switch p.form {
	case outJSON, outLines:
		err = p.objects(&b, page.Rows)
	default:
		err = p.table(&b, page.Rows)
	}
	if err != nil {
		return err
	}
	p.count += len(page.Rows)
	return p.write(&b)
}

func (p *rowPrinter) write(b *bytes.Buffer) error {
	if _, err := p.app.out.Write(escaped(b.Bytes())); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}

// end closes what was begun; a table without rows is a message.
func (p *rowPrinter) end(nothing string) error {
	switch {
	case p.form == outJSON && p.count == 0:
		return p.write(bytes.NewBufferString("[]\n"))
	case p.form == outJSON:
		return p.write(bytes.NewBufferString("\n]\n"))
	case p.form != outLines && p.count == 0:
		p.app.note("%s", nothing)
	}
	return nil
}

// objects writes rows as elements of an array, or as lines.
func (p *rowPrinter) objects(b *bytes.Buffer, rows []json.RawMessage) error {
	for i, row := range rows {
		if p.form == outLines {
			if err := json.Compact(b, row); err != nil {
				return err
			}
			b.WriteByte('\n')
			continue
		}
		b.WriteString(map[bool]string{true: "[\n  ", false: ",\n  "}[p.count+i == 0])
		if err := json.Indent(b, row, "  ", "  "); err != nil {
			return err
		}
	}
	return nil
}

// table writes rows in columns. A column is as wide as its widest cell so far: the pages below the first may be wider.
func (p *rowPrinter) table(b *bytes.Buffer, rows []json.RawMessage) error {
	var lines [][]string
	if p.count == 0 && len(rows) > 0 {
		var head []string
		for _, c := range p.columns {
			head = append(head, c.Title)
		}
		p.widths = make([]int, len(p.columns))
		lines = append(lines, head)
	}
	for _, row := range rows {
		line, err := p.cells(row)
		if err != nil {
			return err
		}
		lines = append(lines, line)
	}
	for _, line := range lines {
		for i, cell := range line {
			p.widths[i] = max(p.widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, line := range lines {
		var text strings.Builder
		for i, cell := range line {
			fmt.Fprintf(&text, "%-*s  ", p.widths[i], cell)
		}
		b.WriteString(strings.TrimRight(text.String(), " ") + "\n")
	}
	return nil
}

// cells are the texts of a row.
func (p *rowPrinter) cells(row json.RawMessage) ([]string, error) {
	var fields map[string]any
	dec := json.NewDecoder(bytes.NewReader(row))
	dec.UseNumber()
	if err := dec.Decode(&fields); err != nil {
		return nil, errors.New("a row in a form of another version")
	}
	line := make([]string, len(p.columns))
	for i, c := range p.columns {
		line[i] = p.cell(fields[c.Field], c.Kind)
	}
	return line, nil
}

// cell writes a value for a person; a dash for none.
func (p *rowPrinter) cell(v any, kind reads.Kind) string {
	text := ""
	switch v := v.(type) {
	case nil:
	case bool:
		text = map[bool]string{true: "yes", false: "no"}[v]
	case string:
		text = v
		if at, err := time.Parse(time.RFC3339, v); kind == reads.Time && err == nil {
			text = at.In(p.app.zone).Format(toSecond)
		}
	case []any:
		var parts []string
		for _, e := range v {
			parts = append(parts, fmt.Sprint(e))
		}
		text = strings.Join(parts, ", ")
	default:
		text = fmt.Sprint(v)
	}
	if text == "" {
		return "-"
	}
	return clean(text)
}

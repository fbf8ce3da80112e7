package chaos

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"os"
	"time"
)

//go:embed report.html
var page string

var pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"ms": ms, "clock": func(d time.Duration) string { return clock(d.Round(10 * time.Millisecond)) }, "inc": func(i int) int { return i + 1 },
	"count": func(n int, one, many string) string {
		if n == 1 {
			many = one
		}
		return thousands(n) + " " + many
	},
}).Parse(page))

// A hover is what the page says of a second.
type hover struct {
	D   int     `json:"d"`
	P50 float64 `json:"p50"` // milliseconds
	P99 float64 `json:"p99"`
	W   int     `json:"w"`
	A   int     `json:"a"`
}

// Tiles are the figures that one looks for first.
func (r *Result) Tiles() []Row {
	first := map[string]bool{"acknowledged": true, "delivered": true, "lost": true, "doubled": true, "disordered": true, "leaked": true,
		"missed while identifying anew": true, "identified anew": true}
	var list []Row
	for _, row := range r.Rows() {
		if first[row.Name] {
			list = append(list, row)
		}
	}
	if len(r.Killed) > 0 {
		list = append(list, Row{Name: "edge killed, live again: p95", Value: ms(r.Killed.At(.95))})
	}
	return list
}

// More is how many problems are not listed.
func (r *Result) More() int { return r.more }

// WriteReport writes one page that needs no network.
func (r *Result) WriteReport(path string) error {
	text, err := r.report()
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return os.WriteFile(path, text, 0o644)
}

func (r *Result) report() ([]byte, error) {
	hovers := make([]hover, len(r.Seconds))
	for i, s := range r.Seconds {
		hovers[i] = hover{s.Delivered, millis(s.P50), millis(s.P99), s.Written, s.Acked}
	}
	data, err := json.Marshal(map[string]any{"seconds": hovers, "length": r.Length.Seconds(), "left": plotLeft, "right": plotRight, "width": plotWidth})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = pageTemplate.Execute(&b, map[string]any{"R": r, "Plot": r.timeline(), "Data": template.JS(data), "Plan": r.Plan.String()})
	return b.Bytes(), err
}

func millis(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
}

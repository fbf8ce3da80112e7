package chaos

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"
)

// Measures of the plot, in units of its view box.
const (
	plotWidth  = 1120.0
	plotLeft   = 64.0
	plotRight  = 16.0
	marksTop   = 30.0 // faults, then rights below them
	marksStep  = 22.0
	ratesTop   = 84.0
	ratesHigh  = 190.0
	delaysTop  = 318.0
	delaysHigh = 170.0
	plotHeight = delaysTop + delaysHigh + 34
)

// A plot is the timeline: deliveries, latency on a logarithmic scale, and faults over both.
type plot struct {
	r    *Result
	secs float64
	most float64 // deliveries a second at the top of the panel
	b    strings.Builder
}

// timeline draws the plot as SVG; colours come from the page.
func (r *Result) timeline() template.HTML {
	p := &plot{r: r, secs: math.Max(1, r.Length.Seconds())}
	for _, s := range r.Seconds {
		p.most = math.Max(p.most, float64(s.Delivered))
	}
	step := niceStep(p.most / 4)
	p.most = math.Max(1, math.Ceil(p.most/step)) * step
	p.f(`<svg id="plot" viewBox="0 0 %g %g" role="img" aria-label="deliveries, latency and faults over time">`, plotWidth, plotHeight)
	p.faults()
	p.rates(step)
	p.delays()
	p.clock()
	p.f(`<line id="hair" y1="%g" y2="%g" x1="-9" x2="-9"/></svg>`, ratesTop, delaysTop+delaysHigh)
	return template.HTML(p.b.String())
}

func (p *plot) f(format string, args ...any) { fmt.Fprintf(&p.b, format, args...) }

func (p *plot) x(seconds float64) float64 {
	return plotLeft + (plotWidth-plotLeft-plotRight)*math.Min(math.Max(seconds/p.secs, 0), 1)
}

// niceStep is 1, 2 or 5 times a power of ten, at or above v.
func niceStep(v float64) float64 {
	if v <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5, 10} {
		if m*unit >= v {
			return m * unit
		}
	}
	return 10 * unit
}

// faults are numbered marks above the panels, and what lasts is a band over them. Changes of rights have a row of their own.
func (p *plot) faults() {
	p.f(`<text class="label" x="%g" y="%g" text-anchor="end">faults</text>`, plotLeft-8, marksTop+4)
	p.f(`<text class="label" x="%g" y="%g" text-anchor="end">rights</text>`, plotLeft-8, marksTop+marksStep+4)
	for i, e := range p.r.Effects {
		x, y, class := p.x(e.Began.Seconds()), marksTop, "fault"
		if e.Kind == Rights {
			y, class = marksTop+marksStep, "right"
		}
		if e.Kind != Rights {
			if wide := p.x(math.Max(e.Ended.Seconds(), e.Began.Seconds())) - x; wide > 1 {
				p.f(`<rect class="band" x="%.1f" y="%g" width="%.1f" height="%g"/>`, x, ratesTop, wide, delaysTop+delaysHigh-ratesTop)
			}
			p.f(`<line class="mark" x1="%.1f" x2="%.1f" y1="%g" y2="%g"/>`, x, x, marksTop+9, delaysTop+delaysHigh)
		}
		p.f(`<g class="%s"><title>%s  %s</title><circle cx="%.1f" cy="%g" r="9"/><text x="%.1f" y="%.1f">%d</text></g>`, class, clock(e.Began.Round(10*time.Millisecond)),
			template.HTMLEscapeString(e.What()), x, y, x, y+3.6, i+1)
	}
}

// rates is the panel of deliveries.
func (p *plot) rates(step float64) {
	y := func(v float64) float64 { return ratesTop + ratesHigh*(1-v/p.most) }
	p.f(`<text class="title" x="%g" y="%g">deliveries a second</text>`, plotLeft, ratesTop-9)
	for v := 0.0; v <= p.most+step/2; v += step {
		p.grid(y(v), fmt.Sprintf("%g", v))
	}
	var path strings.Builder
	whole := p.whole()
	for i, s := range whole {
		fmt.Fprintf(&path, "L%.1f %.1f", p.x(float64(i)+.5), y(float64(s.Delivered)))
	}
	if len(whole) > 0 {
		p.f(`<path class="area" d="M%.1f %.1f%sL%.1f %.1fZ"/>`, p.x(.5), y(0), path.String(), p.x(float64(len(whole))-.5), y(0))
		p.f(`<path class="rate" d="M%s"/>`, path.String()[1:])
	}
}

// whole are the seconds without the last, of which there is only a part.
func (p *plot) whole() []Second { return p.r.Seconds[:min(len(p.r.Seconds), int(p.secs))] }

const (
	delayLow  = float64(time.Millisecond)
	delayHigh = float64(100 * time.Second)
)

// delays is the panel of latency.
func (p *plot) delays() {
	y := func(d time.Duration) float64 {
		v := math.Min(math.Max(float64(d), delayLow), delayHigh)
		return delaysTop + delaysHigh*(1-math.Log(v/delayLow)/math.Log(delayHigh/delayLow))
	}
	p.f(`<text class="title" x="%g" y="%g">from first try to delivery: <tspan class="p50">p50</tspan> and <tspan class="p99">p99</tspan></text>`, plotLeft, delaysTop-9)
	for d := time.Millisecond; d <= 100*time.Second; d *= 10 {
		p.grid(y(d), d.String())
	}
	p.line("p50", func(s Second) float64 { return y(s.P50) })
	p.line("p99", func(s Second) float64 { return y(s.P99) })
}

// line breaks where nothing was delivered.
func (p *plot) line(class string, y func(Second) float64) {
	var path strings.Builder
	open := false
	for i, s := range p.whole() {
		if s.Delivered == 0 {
			open = false
			continue
		}
		fmt.Fprintf(&path, "%s%.1f %.1f", map[bool]string{true: "L", false: "M"}[open], p.x(float64(i)+.5), y(s))
		open = true
	}
	p.f(`<path class="%s" d="%s"/>`, class, path.String())
}

func (p *plot) grid(y float64, label string) {
	p.f(`<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/>`, plotLeft, plotWidth-plotRight, y, y)
	p.f(`<text class="label" x="%g" y="%.1f" text-anchor="end">%s</text>`, plotLeft-8, y+4, label)
}

// clock is the axis of both panels.
func (p *plot) clock() {
	step := 1.0
	for _, s := range []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600} {
		if step = s; p.secs/s <= 15 {
			break
		}
	}
	for t := 0.0; t <= p.secs; t += step {
		p.f(`<text class="label" x="%.1f" y="%g" text-anchor="middle">%s</text>`, p.x(t), delaysTop+delaysHigh+20, clock(time.Duration(t)*time.Second))
	}
}

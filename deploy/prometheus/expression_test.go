package prometheus_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metricsql"
)

// The functions that rules and dashboard use, all of which Prometheus has: the parser here knows more.
var functions = []string{"rate", "increase", "histogram_quantile", "clamp_min", "vector", "time"}

// check parses an expression and tells what in it does not exist.
func (all metrics) check(expr string) error {
	e, err := metricsql.Parse(expr)
	if err != nil {
		return err
	}
	var errs []error
	var group []string // labels that results are told apart by
	named := map[string]bool{}
	metricsql.VisitAll(e, func(e metricsql.Expr) {
		switch e := e.(type) {
		case *metricsql.MetricExpr:
			for _, filters := range e.LabelFilterss {
				errs = append(errs, all.filters(filters, named))
			}
		case *metricsql.FuncExpr:
			if !slices.Contains(functions, e.Name) {
				errs = append(errs, fmt.Errorf("%s: not one of %v", e.Name, functions))
			}
		case *metricsql.RollupExpr:
			if m, ok := e.Expr.(*metricsql.MetricExpr); ok {
				errs = append(errs, all.counted(m))
			}
		case *metricsql.AggrFuncExpr:
			group = append(group, e.Modifier.Args...)
		}
	})
	for _, l := range group {
		if !slices.ContainsFunc(keys(named), func(name string) bool { return all[name].labels[l] }) {
			errs = append(errs, fmt.Errorf("by (%s): no metric in it has the label", l))
		}
	}
	return errors.Join(errs...)
}

// filters checks one selector: {__name__="..."} and what else it asks for.
func (all metrics) filters(filters []metricsql.LabelFilter, named map[string]bool) error {
	name := ""
	for _, f := range filters {
		if f.Label == "__name__" {
			name = f.Value
		}
	}
	m, ok := all[name]
	if !ok {
		return fmt.Errorf("%s: no role has such a metric", name)
	}
	named[name] = true
	for _, f := range filters {
		if f.Label != "__name__" && !m.labels[f.Label] {
			return fmt.Errorf("%s has no label %s: it has %v", name, f.Label, keys(m.labels))
		}
	}
	return nil
}

// counted asks that what stands under a range of time is a counter: the rate of anything else means nothing.
func (all metrics) counted(m *metricsql.MetricExpr) error {
	for _, filters := range m.LabelFilterss {
		for _, f := range filters {
			if kind := all[f.Value].kind; f.Label == "__name__" && kind != "counter" && kind != "histogram" && kind != "" {
				return fmt.Errorf("%s is a %s: a rate wants a counter", f.Value, kind)
			}
		}
	}
	return nil
}

func keys(set map[string]bool) []string {
	var list []string
	for k := range set {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

// A check that finds nothing wrong is worth nothing.
func TestExpressionsAreChecked(t *testing.T) {
	of := func(kind string, labels ...string) metric {
		m := metric{kind, map[string]bool{}}
		for _, l := range append(labels, fromScrape...) {
			m.labels[l] = true
		}
		return m
	}
	all := metrics{"sends_total": of("counter", "kind"), "waiting": of("gauge"), "took_bucket": of("histogram", "le")}
	for expr, want := range map[string]string{
		`sum by (kind, region) (rate(sends_total{role="core"}[5m])) > 1`:               "",
		`histogram_quantile(0.9, sum by (le) (rate(took_bucket[5m]))) and waiting > 1`: "",
		`sum(rate(sends_total[5m])`:       "parse",
		`sum(rate(send_total[5m]))`:       "no role has such a metric",
		`sends_total{sort="x"}`:           "no label sort",
		`sum by (sort) (sends_total)`:     "by (sort)",
		`rate(waiting[5m])`:               "is a gauge",
		`outlier_iqr_over_time(waiting)`:  "not one of",
		`waiting > bool 1 or nothing_yet`: "nothing_yet",
	} {
		err := all.check(expr)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", expr, err, want)
		}
	}
}

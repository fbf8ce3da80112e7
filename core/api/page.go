package api

import (
	"strconv"

	"github.com/starling-chat/starling/core/api/form"
	"github.com/starling-chat/starling/proto"
)

// A page is what the query of a list asks for; ids are 0 where it does not.
type page struct {
	limit                 int
	before, after, around proto.ID
}

// pageOf reads limit (1 to most) and the ids. Empty values count as absent.
func pageOf(c *call, standard, most int) (page, error) {
	q := c.URL.Query()
	p := page{limit: standard}
	if v := q.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			return p, proto.InvalidForm("limit", "NUMBER_TYPE_COERCE", "Value is not int.")
		}
		if err := form.Range("limit", n, 1, most); err != nil {
			return p, err
		}
		p.limit = n
	}
	for name, to := range map[string]*proto.ID{"before": &p.before, "after": &p.after, "around": &p.around} {
		v := q.Get(name)
		if v == "" || v == "0" && name == "after" { // after=0 is how clients ask for the first page
			continue
		}
		var err error
		if *to, err = parseField(name, v); err != nil {
			return p, err
		}
	}
	return p, nil
}

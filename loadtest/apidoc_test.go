package loadtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/starling-chat/starling/loadtest/mesh"
)

// The documents, by the names that their $refs use.
const (
	apiDoc     = "file:///docs/api.yaml"
	gatewayDoc = "file:///docs/gateway.yaml"
)

// An operation is one route of docs/api.yaml, with what docs/README.md says of the x-starling- keys.
type operation struct {
	Method, Path string
	ID           string          `yaml:"operationId"`
	Scope        string          `yaml:"x-starling-scope"`
	Needs        []string        `yaml:"x-starling-needs"`
	Or           string          `yaml:"x-starling-or"`
	Only         string          `yaml:"x-starling-only"`
	Ignores      []string        `yaml:"x-starling-ignores"`
	Global       []string        `yaml:"x-starling-global"`
	Root         bool            `yaml:"x-starling-root"`
	Security     *[]any          `yaml:"security"`
	RequestBody  *documentedBody `yaml:"requestBody"`
	Responses    map[string]struct {
		Ref     string               `yaml:"$ref"`
		Content map[string]yaml.Node `yaml:"content"`
	} `yaml:"responses"`
}

type documentedBody struct {
	Content map[string]struct{ Example any } `yaml:"content"`
}

// public tells whether the route needs no token.
func (o operation) public() bool { return o.Security != nil && len(*o.Security) == 0 }

// example is the body that the document shows; nil for none.
func (o operation) example() any {
	if o.RequestBody == nil {
		return nil
	}
	return o.RequestBody.Content["application/json"].Example
}

// success is the lowest 2xx status of the document.
func (o operation) success() string {
	for _, status := range slices.Sorted(maps.Keys(o.Responses)) {
		return status
	}
	return ""
}

var parameter = regexp.MustCompile(`\{(\w+)\}`)

// params are the names of the path's parameters in order.
func (o operation) params() []string {
	var names []string
	for _, m := range parameter.FindAllStringSubmatch(o.Path, -1) {
		names = append(names, m[1])
	}
	return names
}

// fill puts values in the place of the path's parameters.
func (o operation) fill(values map[string]string) string {
	return parameter.ReplaceAllStringFunc(o.Path, func(p string) string { return values[p[1:len(p)-1]] })
}

// A documentedEvent is one message of docs/gateway.yaml.
type documentedEvent struct {
	Op        *int     `yaml:"x-starling-op"`
	MadeBy    []string `yaml:"x-starling-made-by"`
	Elsewhere string   `yaml:"x-starling-elsewhere"`
}

// documents are docs/api.yaml and docs/gateway.yaml, read once for a test.
type documents struct {
	t        *testing.T
	ops      []operation // in order of path and method
	events   map[string]documentedEvent
	compiler *jsonschema.Compiler
}

func readDocs(t *testing.T) *documents {
	t.Helper()
	d := &documents{t: t, compiler: jsonschema.NewCompiler()}
	var api struct {
		Paths map[string]map[string]yaml.Node
	}
	d.load("api.yaml", apiDoc, &api)
	for path, item := range api.Paths {
		for method, node := range item {
			if method == "parameters" {
				continue
			}
			o := operation{Method: strings.ToUpper(method), Path: path}
			if err := node.Decode(&o); err != nil {
				t.Fatalf("api.yaml: %s %s: %v", method, path, err)
			}
			d.ops = append(d.ops, o)
		}
	}
	slices.SortFunc(d.ops, func(a, b operation) int { return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method) })
	var gw struct {
		Components struct {
			Messages map[string]documentedEvent
		}
	}
	d.load("gateway.yaml", gatewayDoc, &gw)
	d.events = gw.Components.Messages
	return d
}

// load reads one document, for us and for its schemas.
func (d *documents) load(file, at string, v any) {
	d.t.Helper()
	text := take[[]byte](d.t)(os.ReadFile("../docs/" + file))
	must(d.t, yaml.Unmarshal(text, v))
	var whole any
	must(d.t, yaml.Unmarshal(text, &whole))
	doc := take[any](d.t)(jsonschema.UnmarshalJSON(bytes.NewReader(take[[]byte](d.t)(json.Marshal(whole)))))
	must(d.t, d.compiler.AddResource(at, doc))
}

// schema compiles what a JSON pointer, given by its keys, leads to.
func (d *documents) schema(doc string, keys ...string) (*jsonschema.Schema, error) {
	pointer := ""
	for _, k := range keys {
		pointer += "/" + url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(k))
	}
	return d.compiler.Compile(doc + "#" + pointer)
}

// answer compares an answer with what its operation documents: the status, and the body under that status.
func (d *documents) answer(o operation, status int, body []byte) error {
	code := fmt.Sprint(status)
	r, ok := o.Responses[code]
	if !ok {
		return fmt.Errorf("status %d is not documented: %.200s", status, body)
	}
	keys := []string{"paths", o.Path, strings.ToLower(o.Method), "responses", code, "content", "application/json", "schema"}
	if name, ok := strings.CutPrefix(r.Ref, "#/components/responses/"); ok {
		if name == "NoContent" {
			return nothing(body)
		}
		keys = []string{"components", "responses", name, "content", "application/json", "schema"}
	} else if r.Content == nil {
		return nothing(body)
	}
	s, err := d.schema(apiDoc, keys...)
	if err != nil {
		return err
	}
	return fits(s, body)
}

func nothing(body []byte) error {
	if len(body) > 0 {
		return fmt.Errorf("body %.80q, want none", body)
	}
	return nil
}

// fits validates JSON.
func fits(s *jsonschema.Schema, body []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: %.200s", err, body)
	}
	if err := s.Validate(v); err != nil {
		return fmt.Errorf("%w\nin %.1500s", err, body)
	}
	return nil
}

// served asks the mesh's core for its table of routes: "METHOD /path" below the prefix, parameters as {}.
func served(t *testing.T, m *mesh.Mesh) map[string]bool {
	t.Helper()
	for i := range 8 { // a page a role
		resp, err := http.Get(m.Admin(i) + "/debug/routes")
		if err != nil {
			continue
		}
		body := take[[]byte](t)(io.ReadAll(resp.Body))
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			continue
		}
		routes := map[string]bool{}
		for line := range strings.Lines(string(body)) {
			method, path, _ := strings.Cut(strings.TrimSpace(line), " ")
			routes[method+" "+unnamed(path)] = true
		}
		return routes
	}
	t.Fatal("no role has a /debug/routes page")
	return nil
}

func unnamed(path string) string { return parameter.ReplaceAllString(path, "{}") }

package form

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// form is what the table decodes into: every kind of field that requests have.
type form struct {
	Name        *string               `json:"name"`
	ID          proto.ID              `json:"id"`
	Permissions *proto.Permissions    `json:"permissions"`
	Position    int                   `json:"position"`
	Topic       core.Optional[string] `json:"topic,omitzero"`
	Parent      core.Optional[proto.ID]
	Overwrites  []proto.Overwrite `json:"permission_overwrites"`
}

func decodeForm(contentType string, body []byte) (form, error) {
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	var f form
	err := Decode(r, &f)
	return f, err
}

func TestMalformedBodies(t *testing.T) {
	for name, c := range map[string]struct {
		body   string
		status int
		code   int
		field  string
	}{
		"not JSON":              {`{"name":`, 400, 50109, ""},
		"two values":            {`{} {}`, 400, 50109, ""},
		"bare word":             {`hello`, 400, 50109, ""},
		"single quotes":         {`{'name':'x'}`, 400, 50109, ""},
		"trailing comma":        {`{"name":"x",}`, 400, 50109, ""},
		"NaN":                   {`{"position":NaN}`, 400, 50109, ""},
		"invalid UTF-8":         {"{\"name\":\"\xff\"}", 400, 50109, ""},
		"cut UTF-8":             {"{\"name\":\"\xc3\"}", 400, 50109, ""},
		"UTF-16":                {"\xff\xfe{\x00}\x00", 400, 50109, ""},
		"zero byte":             {"{\"name\":\"a\x00\"}", 400, 50109, ""},
		"too deep":              {strings.Repeat(`{"a":`, 50) + "1" + strings.Repeat("}", 50), 400, 50109, ""},
		"absurdly deep":         {strings.Repeat("[", 200_000), 400, 50109, ""},
		"too large":             {`{"name":"` + strings.Repeat("x", maxBody) + `"}`, 413, 40005, ""},
		"a list":                {`[]`, 400, 50035, "_errors"},
		"a string":              {`"x"`, 400, 50035, "_errors"},
		"a number":              {`1`, 400, 50035, "_errors"},
		"name is a number":      {`{"name":5}`, 400, 50035, "name"},
		"name is an object":     {`{"position":1,"name":{}}`, 400, 50035, "name"},
		"position is a string":  {`{"position":"x"}`, 400, 50035, "position"},
		"position is a float":   {`{"position":1.5}`, 400, 50035, "position"},
		"position is too large": {`{"position":1e99}`, 400, 50035, "position"},
		"id is a word":          {`{"id":"abc"}`, 400, 50035, "id"},
		"id is zero":            {`{"id":"0"}`, 400, 50035, "id"},
		"id is negative":        {`{"id":-1}`, 400, 50035, "id"},
		"id is too large":       {`{"id":"9223372036854775808"}`, 400, 50035, "id"},
		"permissions":           {`{"permissions":"-1"}`, 400, 50035, "permissions"},
		"topic":                 {`{"topic":7}`, 400, 50035, "topic"},
		"overwrites":            {`{"permission_overwrites":{}}`, 400, 50035, "permission_overwrites"},
		"inside overwrites":     {`{"permission_overwrites":[{"id":"x"}]}`, 400, 50035, "permission_overwrites"},
	} {
		_, err := decodeForm("application/json", []byte(c.body))
		var e *proto.Error
		if !errors.As(err, &e) || e.Status != c.status || e.Code != c.code {
			t.Errorf("%s: got %v, want %d/%d", name, err, c.status, c.code)
			continue
		}
		if c.field != "" && e.Errors[c.field] == nil {
			t.Errorf("%s: errors %v do not name %s", name, e.Errors, c.field)
		}
	}
}

func TestTolerantBodies(t *testing.T) {
	for name, c := range map[string]struct{ kind, body string }{
		"empty":               {"application/json", ""},
		"white space":         {"application/json", " \r\n\t"},
		"null":                {"", "null"},
		"nulls":               {"text/plain", `{"name":null,"id":null,"permissions":null,"position":null,"permission_overwrites":null,"topic":null}`},
		"unknown keys":        {"application/json; charset=utf-8", `{"ID":"1","Channel":"x","embeds":null,"x":[{"y":{}}]}`},
		"ids as numbers":      {"application/x-www-form-urlencoded", `{"id":175928847299117063,"permissions":8}`},
		"ids as strings":      {"bad content type;;", `{"id":"175928847299117063","permissions":"8"}`},
		"brackets in strings": {"", `{"name":"` + strings.Repeat("[{", 100) + `\"` + strings.Repeat("[", 100) + `"}`},
	} {
		f, err := decodeForm(c.kind, []byte(c.body))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if strings.HasPrefix(name, "ids") && (f.ID != 175928847299117063 || *f.Permissions != 8) {
			t.Errorf("%s: got %+v", name, f)
		}
		if name == "nulls" && (!f.Topic.Set || f.Topic.Value != nil) {
			t.Errorf("a null topic clears, got %+v", f.Topic)
		}
	}
}

func TestMultipart(t *testing.T) {
	build := func(f func(w *multipart.Writer)) (string, []byte) {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		f(w)
		w.Close()
		return w.FormDataContentType(), b.Bytes()
	}
	kind, body := build(func(w *multipart.Writer) { w.WriteField("payload_json", `{"name":"x"}`) })
	if f, err := decodeForm(kind, body); err != nil || f.Name == nil || *f.Name != "x" {
		t.Errorf("payload_json: got %+v, %v", f, err)
	}
	if _, err := decodeForm(kind, body[:len(body)/2]); !errors.Is(err, proto.ErrInvalidJSON) {
		t.Errorf("cut form: got %v, want 50109", err)
	}
	if _, err := decodeForm("multipart/form-data", body); !errors.Is(err, proto.ErrInvalidJSON) {
		t.Errorf("no boundary: got %v, want 50109", err)
	}
	kind, body = build(func(w *multipart.Writer) {
		w.WriteField("payload_json", `{"name":"x"}`)
		p, _ := w.CreateFormFile("files[0]", "a.png")
		p.Write([]byte("png"))
	})
	var e *proto.Error
	if _, err := decodeForm(kind, body); !errors.As(err, &e) || e.Code != 50035 || e.Errors["files[0]"] == nil {
		t.Errorf("a file: got %v, want 50035 that names it", err)
	}
	kind, body = build(func(w *multipart.Writer) {
		for range maxParts + 1 {
			w.WriteField("x", "y")
		}
	})
	if _, err := decodeForm(kind, body); !errors.Is(err, proto.ErrInvalidJSON) {
		t.Errorf("too many parts: got %v, want 50109", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("application/json", []byte(`{"name":"x","id":1,"permissions":"8","topic":null,"permission_overwrites":[{"id":["1"],"type":0}]}`))
	f.Add("multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=\"payload_json\"\r\n\r\n{}\r\n--x--\r\n"))
	f.Add("", []byte("[[["))
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		_, err := decodeForm(kind, body)
		var e *proto.Error
		if err != nil && (!errors.As(err, &e) || e.Status != 400 && e.Status != 413) {
			t.Errorf("got %v, want a client's error", err)
		}
		if e != nil {
			if _, err := json.Marshal(e); err != nil {
				t.Errorf("the error cannot be told: %v", err)
			}
		}
	})
}

// Package form reads the bodies of REST calls: strict where a field has the wrong type, tolerant of everything that client libraries
// send beside what counts. It is not the check of a request's meaning: endpoints (package api) and owners do that.
package form

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"unicode/utf8"

	"github.com/starling-chat/starling/proto"
)

// Bounds of request bodies.
const (
	maxBody  = 512 << 10
	maxDepth = 32 // of nested JSON; embeds and components need some ten
	maxParts = 32 // of a multipart form
)

// Decode reads the JSON of a call into v, whatever its Content-Type says; of a multipart form the part payload_json. No body is an
// empty object. null counts as absent, unknown keys are ignored; a key of a wrong type is 400/50035 and named.
func Decode[T any](r *http.Request, v *T) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	return decodeJSON(body, v)
}

func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", proto.ErrInvalidJSON, err)
	}
	if len(body) > maxBody {
		return nil, proto.ErrTooLarge
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err == nil && kind == "multipart/form-data" {
		return payloadOf(body, params["boundary"])
	}
	return body, nil
}

// payloadOf finds payload_json in a multipart form. Files have no place to go to: a message without its attachment would be a lie.
func payloadOf(body []byte, boundary string) ([]byte, error) {
	// A form that is cut short ends like a whole one to the reader: look for its last boundary.
	if boundary == "" || !bytes.Contains(body, []byte("--"+boundary+"--")) {
		return nil, proto.ErrInvalidJSON
	}
	form := multipart.NewReader(bytes.NewReader(body), boundary)
	var payload []byte
	for n := 0; ; n++ {
		part, err := form.NextRawPart()
		if err == io.EOF {
			return payload, nil
		}
		if err != nil || n >= maxParts {
			return nil, proto.ErrInvalidJSON
		}
		name := part.FormName()
		switch {
		case name == "payload_json" && payload == nil:
			if payload, err = io.ReadAll(part); err != nil { // body is bounded already
				return nil, proto.ErrInvalidJSON
			}
		case part.FileName() != "":
			return nil, proto.InvalidForm(fieldName(name), "ATTACHMENTS_UNSUPPORTED", "This server takes no attachments.")
		}
	}
}

func fieldName(s string) string {
	if s == "" || len(s) > 64 || !utf8.ValidString(s) {
		return "files"
	}
	return s
}

func decodeJSON[T any](body []byte, v *T) error {
	body = bytes.Trim(body, " \t\r\n")
	if len(body) == 0 || string(body) == "null" {
		return nil
	}
	if !utf8.Valid(body) || tooDeep(body) || !json.Valid(body) {
		return proto.ErrInvalidJSON
	}
	if body[0] != '{' {
		return &proto.Error{Status: http.StatusBadRequest, Code: 50035, Message: "Invalid Form Body", Errors: map[string]any{
			"_errors": []map[string]string{{"code": "DICT_TYPE_CONVERT", "message": "Only dictionaries may be used in a DictType"}}}}
	}
	if err := json.Unmarshal(body, v); err != nil {
		return proto.InvalidForm(badField[T](body), "BASE_TYPE_CONVERT", "Could not be read as the type that this field has.")
	}
	return nil
}

// tooDeep counts brackets outside of strings, before any parser recurses into them.
func tooDeep(body []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// badField finds the key that does not fit T, by decoding each alone: the errors of custom types name no field.
func badField[T any](body []byte) string {
	var keys map[string]json.RawMessage
	if json.Unmarshal(body, &keys) != nil {
		return "_"
	}
	for n, key := range slices.Sorted(maps.Keys(keys)) {
		name, err := json.Marshal(key)
		if err != nil || n >= 100 {
			break
		}
		one := slices.Concat([]byte("{"), name, []byte(":"), keys[key], []byte("}"))
		var v T
		if json.Unmarshal(one, &v) != nil {
			return key
		}
	}
	return "_"
}

// Length checks a string's length in characters, as Discord counts.
func Length(field, s string, least, most int) error {
	if n := utf8.RuneCountInString(s); n < least || n > most {
		return proto.InvalidForm(field, "BASE_TYPE_BAD_LENGTH", fmt.Sprintf("Must be between %d and %d in length.", least, most))
	}
	return nil
}

// Range checks a number.
func Range(field string, n, least, most int) error {
	if n < least || n > most {
		return proto.InvalidForm(field, "NUMBER_TYPE_RANGE", fmt.Sprintf("int value should be between %d and %d.", least, most))
	}
	return nil
}

// Required says that a field is absent.
func Required(field string) error {
	return proto.InvalidForm(field, "BASE_TYPE_REQUIRED", "This field is required")
}

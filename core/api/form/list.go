package form

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/starling-chat/starling/proto"
)

// DecodeList reads a body that is a list; an element that does not fit T is 400/50035 and named by its index.
func DecodeList[T any](r *http.Request, v *[]T) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	body = bytes.Trim(body, " \t\r\n")
	if len(body) > 0 && (!utf8.Valid(body) || tooDeep(body) || !json.Valid(body)) {
		return proto.ErrInvalidJSON
	}
	var raw []json.RawMessage
	if len(body) == 0 || json.Unmarshal(body, &raw) != nil {
		return &proto.Error{Status: http.StatusBadRequest, Code: 50035, Message: "Invalid Form Body", Errors: map[string]any{
			"_errors": []map[string]string{{"code": "LIST_TYPE_CONVERT", "message": "Only iterables may be used in a ListType"}}}}
	}
	list := make([]T, len(raw))
	for i := range raw {
		if err := json.Unmarshal(raw[i], &list[i]); err != nil {
			return proto.InvalidForm(strconv.Itoa(i), "BASE_TYPE_CONVERT", "Could not be read as the type that this element has.")
		}
	}
	*v = list
	return nil
}

package proto

import "fmt"

// An Error is the body of a REST answer from 400 up: {"message","code","errors"?} with Discord's codes.
type Error struct {
	Status  int            `json:"-"` // HTTP status
	Code    int            `json:"code"`
	Message string         `json:"message"`
	Errors  map[string]any `json:"errors,omitempty"` // by field, Discord's form: {"content":{"_errors":[{"code","message"}]}}

	// RetryAfter is set with 429 and 503, in seconds; Global with 429 of the limit over all routes.
	RetryAfter float64 `json:"retry_after,omitempty"`
	Global     *bool   `json:"global,omitempty"`
}

func (e *Error) Error() string { return fmt.Sprintf("%d/%d: %s", e.Status, e.Code, e.Message) }

// The errors of the API (Discord: JSON Error Codes). They are shared: never change one, copy it.
var (
	ErrUnauthorized      = &Error{Status: 401, Code: 0, Message: "401: Unauthorized"}
	ErrNotFound          = &Error{Status: 404, Code: 0, Message: "404: Not Found"}
	ErrMethodNotAllowed  = &Error{Status: 405, Code: 0, Message: "405: Method Not Allowed"}
	ErrUnknownApp        = &Error{Status: 404, Code: 10002, Message: "Unknown Application"}
	ErrUnknownChannel    = &Error{Status: 404, Code: 10003, Message: "Unknown Channel"}
	ErrUnknownGuild      = &Error{Status: 404, Code: 10004, Message: "Unknown Guild"}
	ErrUnknownInvite     = &Error{Status: 404, Code: 10006, Message: "Unknown Invite"}
	ErrUnknownMember     = &Error{Status: 404, Code: 10007, Message: "Unknown Member"}
	ErrUnknownMessage    = &Error{Status: 404, Code: 10008, Message: "Unknown Message"}
	ErrUnknownOverwrite  = &Error{Status: 404, Code: 10009, Message: "Unknown Permission Overwrite"}
	ErrUnknownRole       = &Error{Status: 404, Code: 10011, Message: "Unknown Role"}
	ErrUnknownUser       = &Error{Status: 404, Code: 10013, Message: "Unknown User"}
	ErrUnknownBan        = &Error{Status: 404, Code: 10026, Message: "Unknown Ban"}
	ErrMaxChannels       = &Error{Status: 400, Code: 30013, Message: "Maximum number of guild channels reached (500)"}
	ErrMaxRoles          = &Error{Status: 400, Code: 30005, Message: "Maximum number of guild roles reached (250)"}
	ErrTooLarge          = &Error{Status: 413, Code: 40005, Message: "Request entity too large"}
	ErrBanned            = &Error{Status: 403, Code: 40007, Message: "The user is banned from this guild."}
	ErrMissingAccess     = &Error{Status: 403, Code: 50001, Message: "Missing Access"}
	ErrNotAuthor         = &Error{Status: 403, Code: 50005, Message: "Cannot edit a message authored by another user"}
	ErrDirectChannel     = &Error{Status: 403, Code: 50003, Message: "Cannot execute action on a DM channel"}
	ErrEmptyMessage      = &Error{Status: 400, Code: 50006, Message: "Cannot send an empty message"}
	ErrNotReachable      = &Error{Status: 403, Code: 50007, Message: "Cannot send messages to this user"}
	ErrNonTextChannel    = &Error{Status: 400, Code: 50008, Message: "Cannot send messages in a non-text channel"}
	ErrMissingPermission = &Error{Status: 403, Code: 50013, Message: "Missing Permissions"}
	ErrSystemMessage     = &Error{Status: 403, Code: 50021, Message: "Cannot execute action on a system message"}
	ErrInvalidRole       = &Error{Status: 400, Code: 50028, Message: "Invalid Role"}
	ErrInvalidRecipient  = &Error{Status: 400, Code: 50033, Message: "Invalid Recipient(s)"}
	ErrInvalidJSON       = &Error{Status: 400, Code: 50109, Message: "The request body contains invalid JSON."}
	ErrUnavailable       = &Error{Status: 503, Code: 0, Message: "503: Service Unavailable", RetryAfter: 1}
	ErrInternal          = &Error{Status: 500, Code: 0, Message: "500: Internal Server Error"}
)

// InvalidForm is 50035 and names the field: path "content", code "BASE_TYPE_MAX_LENGTH", a sentence.
func InvalidForm(field, code, message string) *Error {
	return &Error{Status: 400, Code: 50035, Message: "Invalid Form Body",
		Errors: map[string]any{field: map[string]any{"_errors": []map[string]string{{"code": code, "message": message}}}}}
}

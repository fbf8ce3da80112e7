package relay

import (
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// MaxStreams bounds the streams of a log, since rights to read them name each.
const MaxStreams = 64

// edgeInbox begins the subjects on which edges take answers: <edgeInbox>.<edge>. Answers to cores have others, which no leaf may hear.
const edgeInbox = "_EDGE"

// answerTime is how long somebody who was asked may answer.
const answerTime = 30 * time.Second

// permissions are what a role may say and hear. An edge is where strangers get in first: it may ask cores, write its own journal, read what
// the log and owners tell everybody and what is addressed to it, and nothing else. Its leaf may do the same for all its edges. Cores are
// trusted, but the voices of log and hub are not theirs.
func permissions(id identity, region string) *server.Permissions {
	switch id.role {
	case roleEdge:
		return &server.Permissions{
			Publish:   allow(append(reads(region), RESTSubject(region), RPCSubject(region, ">"), "jrnl."+id.name)...),
			Subscribe: allow(append(told(region), "user."+id.name, "user."+id.name+".>", edgeInbox+"."+id.name+".>")...),
			Response:  &server.ResponsePermission{MaxMsgs: 1, Expires: answerTime},
		}
	case roleLeaf:
		return &server.Permissions{
			// Answers go to inboxes of cores; which, the edges' own leaf checks.
			Publish:   allow(append(reads(region), RESTSubject(region), RPCSubject(region, ">"), "jrnl.*", "_INBOX.>")...),
			Subscribe: allow(append(told(region), "user.>", edgeInbox+".>")...),
		}
	default:
		return &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"live.>", "beat.>", "$SYS.>"}}}
	}
}

func allow(subjects ...string) *server.SubjectPermission {
	return &server.SubjectPermission{Allow: subjects}
}

// told is what everybody in the region may hear.
func told(region string) []string {
	return []string{"live." + region + ".*", "eph." + region + ".*", DigestSubject(region), BeatSubject(region)}
}

// reads is what a Reader asks of the log.
func reads(region string) []string {
	var subjects []string
	for k := range MaxStreams {
		for _, call := range []string{".DIRECT.GET.", ".STREAM.INFO.", ".STREAM.MSG.GET."} {
			subjects = append(subjects, apiPrefix(region)+call+streamName(region, k))
		}
	}
	return subjects
}

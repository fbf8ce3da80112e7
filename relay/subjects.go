package relay

import (
	"strconv"
	"strings"

	"github.com/starling-chat/starling/proto"
)

// The grammar of subjects. A region is one token; a bucket is 0 to 1023 in decimal.
//
//	ev.<region>.<bucket>     entries as the owner appends them; stored in EV_<region>_<bucket mod streams>
//	live.<region>.<bucket>   the same, republished by the stream once stored
//	eph.<region>.<bucket>    events that are not logged: typing
//	cmd.<region>.<bucket>    commands to the bucket's owner
//	api.<region>             REST calls to any core
//	rpc.<region>.<name>      calls of edges to any core: identify, guild
//	dig.<region>             digests of owners
//	beat.<region>            the hub's heartbeat
//	core.<region>            heartbeats of cores
//	own.<region>.<core>      what cores ask each other about buckets that change hands
//	jrnl.<edge>              what an edge numbers; stored in JRNL_<region>, and heard by cores
//	tomb.<region>.<key>      where a session went from there; stored in TOMB_<region>
//	user.<edge>              what cores ask of an edge

// LogSubject is where the owner of a bucket appends entries.
func LogSubject(region string, bucket int) string { return bucketSubject("ev", region, bucket) }

// LiveSubject is where the log republishes a bucket's entries.
func LiveSubject(region string, bucket int) string { return bucketSubject("live", region, bucket) }

// CommandSubject is where the owner of a bucket takes commands.
func CommandSubject(region string, bucket int) string { return bucketSubject("cmd", region, bucket) }

// EphemeralSubject carries a bucket's events that are not logged.
func EphemeralSubject(region string, bucket int) string { return bucketSubject("eph", region, bucket) }

// RESTSubject is where the cores of a region take REST calls.
func RESTSubject(region string) string { return "api." + region }

// RPCSubject is where the cores of a region take the named call.
func RPCSubject(region, name string) string { return "rpc." + region + "." + name }

// DigestSubject is where the owners of a region tell how far their buckets are.
func DigestSubject(region string) string { return "dig." + region }

// BeatSubject carries the hub's heartbeat.
func BeatSubject(region string) string { return "beat." + region }

// CoreBeatSubject carries the heartbeats of cores.
func CoreBeatSubject(region string) string { return "core." + region }

// MoveSubject is where a core is asked to take a bucket.
func MoveSubject(region, core string) string { return "own." + region + "." + core }

// JournalSubject is where an edge writes what it numbers.
func JournalSubject(edge string) string { return "jrnl." + edge }

// EdgeSubject is where an edge takes what cores ask of it.
func EdgeSubject(edge string) string { return "user." + edge }

func bucketSubject(kind, region string, bucket int) string {
	return kind + "." + region + "." + strconv.Itoa(bucket)
}

// parseBucketSubject splits kind.region.bucket; ok is false for anything else.
func parseBucketSubject(subject string) (kind string, bucket int, ok bool) {
	kind, rest, ok := strings.Cut(subject, ".")
	if !ok || kind == "" {
		return "", 0, false
	}
	at := strings.LastIndexByte(rest, '.')
	if at <= 0 {
		return "", 0, false
	}
	digits := rest[at+1:]
	if len(digits) == 0 || len(digits) > 4 || len(digits) > 1 && digits[0] == '0' {
		return "", 0, false
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return "", 0, false
		}
		bucket = bucket*10 + int(digits[i]-'0')
	}
	if bucket >= proto.Buckets {
		return "", 0, false
	}
	return kind, bucket, true
}

// streamName names the stream of the k-th share of a region's buckets.
// streamPrefix begins the names of the log's streams.
const streamPrefix = "EV_"

func streamName(region string, k int) string { return streamPrefix + region + "_" + strconv.Itoa(k) }

// journalStream and tombStream name the streams of what sessions resume by.
func journalStream(region string) string { return "JRNL_" + region }
func tombStream(region string) string    { return "TOMB_" + region }

// apiPrefix addresses the JetStream API of a region's domain, from the hub or from behind any leaf.
func apiPrefix(region string) string { return "$JS." + region + ".API" }

// checkRegion reports a name that is not a single plain token.
func checkRegion(region string) bool {
	if region == "" || len(region) > 32 {
		return false
	}
	for _, c := range region {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

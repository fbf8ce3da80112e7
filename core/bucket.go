package core

import (
	"github.com/cespare/xxhash/v2"

	"github.com/starling-chat/starling/proto"
)

// BirthBucket is the bucket in which a command gives birth to a guild or user: the same for every try of the command, so that a retry
// meets its first try.
func BirthBucket(command []byte) int { return int(xxhash.Sum64(command) % proto.Buckets) }

// Package ownership decides which core owns which bucket: rendezvous hashing over the cores whose heartbeats are heard says who should, a
// record changed by compare-and-set says who does, and buckets move one by one from the one to the other. It is not the fence: that is the
// log alone, so that nothing here can do more harm than delay. It executes no command and keeps no state of a bucket.
package ownership

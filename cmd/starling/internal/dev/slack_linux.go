package dev

import (
	"syscall"
	"time"
)

const prSetTimerSlack = 29 // PR_SET_TIMERSLACK of prctl(2), which package syscall does not name

// crowdSlack is how late the kernel may wake who waits for a time. Go's own watcher of each process (runtime.sysmon) looks up after 20 µs as
// long as anything goes on in it; where a dozen processes share two processors a fifth of all time went into that.
const crowdSlack = 500 * time.Microsecond

// slacken has the calling thread, and all processes that it starts from now on, woken late. Where the kernel does not know of it nothing is lost.
func slacken() {
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, uintptr(crowdSlack.Nanoseconds()), 0)
}

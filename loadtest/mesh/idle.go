package mesh

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

const schedIdle = 5 // SCHED_IDLE of sched(7)

// GiveWay lets a process have only what processors have left, as if it were on a machine of its own: any other process that wants to run takes
// the place of this one at once. (A process of nice 19 may end the turn that it has, and who is woken waits for it.)
func GiveWay(pid int) error {
	for seen := map[int]bool{}; ; { // threads have a policy each, new ones that of their maker
		threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil {
			return err
		}
		news := false
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil {
				return err
			}
			if seen[id] {
				continue
			}
			seen[id], news = true, true
			var priority int32
			if _, _, e := syscall.RawSyscall(syscall.SYS_SCHED_SETSCHEDULER, uintptr(id), schedIdle, uintptr(unsafe.Pointer(&priority))); e != 0 && !errors.Is(e, syscall.ESRCH) {
				return fmt.Errorf("sched_setscheduler: %w", e)
			}
		}
		if !news {
			return nil
		}
	}
}

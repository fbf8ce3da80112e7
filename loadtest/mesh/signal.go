package mesh

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// Role finds a process by its name in mesh.json, core-1 and so on. Its pid is 0 while it is gone.
func (m *Mesh) Role(name string) (Role, error) {
	roles, err := m.Roles()
	if err != nil {
		return Role{}, err
	}
	for _, r := range roles {
		if r.Name == name {
			return r, nil
		}
	}
	return Role{}, fmt.Errorf("no role %q in mesh.json", name)
}

// Nice makes a role give way to others, as if it were on a machine of its own, where it runs as a process.
func (m *Mesh) Nice(name string, nice int) error {
	r, err := m.Role(name)
	if err != nil {
		return err
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", r.PID))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, t := range threads { // each has a niceness of its own
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, id, nice); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// Signal sends a signal to the process of a role.
func (m *Mesh) Signal(name string, sig syscall.Signal) error {
	r, err := m.Role(name)
	if err != nil {
		return err
	}
	if r.PID <= 0 {
		return fmt.Errorf("%s is not running", name)
	}
	if err := syscall.Kill(r.PID, sig); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

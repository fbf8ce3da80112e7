package mesh

import (
	"fmt"
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

// GiveWay is GiveWay of a role, where it runs as a process.
func (m *Mesh) GiveWay(name string) error {
	r, err := m.Role(name)
	if err != nil {
		return err
	}
	if err := GiveWay(r.PID); err != nil {
		return fmt.Errorf("%s: %w", name, err)
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

//go:build unix

package transport

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// firstByte waits until c has something to read, and leaves it there: who reads it is to find TCP itself, for writev.
func firstByte(c net.Conn) error {
	s, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	var b [1]byte
	n, gone := 0, error(nil)
	if err := raw.Read(func(fd uintptr) bool {
		for {
			n, _, gone = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
			if !errors.Is(gone, syscall.EINTR) {
				return !errors.Is(gone, syscall.EAGAIN)
			}
		}
	}); err != nil {
		return err
	}
	if gone == nil && n == 0 {
		return io.EOF
	}
	return gone
}

// files is how many the process may open; Go has raised the limit as far as it goes.
func files() int {
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) != nil {
		return 4 * mostWaiting
	}
	return int(min(r.Cur, 4*mostWaiting))
}

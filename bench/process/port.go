package process

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// A Port is a port of loopback that is kept for somebody who does not listen on it
// all the time, for a server that is killed and started again: a socket that is
// bound and does not listen. Without it the system may give the port to anybody's
// connection meanwhile.
type Port struct {
	Address string // 127.0.0.1:PORT
	socket  int
}

// HoldPort takes a free port. Package net, here or in a child, can listen at its
// address until Release.
func HoldPort() (*Port, error) {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("hold a port: %w", err)
	}
	p := &Port{socket: socket}
	if err := p.bind(); err != nil {
		return nil, errors.Join(fmt.Errorf("hold a port: %w", err), p.Release())
	}
	return p, nil
}

func (p *Port) bind() error {
	// Listeners of package net have the option, too; both may have one port then.
	if err := syscall.SetsockoptInt(p.socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := syscall.Bind(p.socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	name, err := syscall.Getsockname(p.socket)
	if err != nil {
		return err
	}
	p.Address = net.JoinHostPort("127.0.0.1", strconv.Itoa(name.(*syscall.SockaddrInet4).Port)) // it is bound to IPv4
	return nil
}

// Release gives the port back. It is called once.
func (p *Port) Release() error { return syscall.Close(p.socket) }

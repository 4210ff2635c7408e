package destination

import "net"

// Dialer opens the sockets of every destination and refuses addresses that the
// operator did not allow.
type Dialer struct {
	net.Dialer
}

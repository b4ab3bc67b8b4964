package websocket

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"
)

// TestConnectTimeout dials an address that does not answer, neither yes nor no.
func TestConnectTimeout(t *testing.T) {
	url := "ws://" + unanswering(t)
	start := time.Now()
	_, err := Dial(t.Context(), url, &DialOptions{HandshakeTimeout: 50 * time.Millisecond})
	var timeout *TimeoutError
	if !errors.As(err, &timeout) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 10*time.Second {
		t.Errorf("HandshakeTimeout: %v after %v", err, time.Since(start))
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := Dial(ctx, url, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("context: %v", err)
	}
}

// unanswering is the address of a listener with no room for another connection.
func unanswering(t *testing.T) (address string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	raw, err := listener.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 0) })
	if err != nil {
		t.Fatal(err)
	}
	for range 8 {
		c, err := net.DialTimeout("tcp", listener.Addr().String(), 100*time.Millisecond)
		if err != nil {
			return listener.Addr().String()
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the system makes room")
	return ""
}

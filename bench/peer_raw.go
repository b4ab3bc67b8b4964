package main

import (
	"io"
	"net"
)

var rawPeer = &peer{
	name: "raw-tcp", tcp: true, reference: true,
	about:  "no WebSocket at all: payloads without frames over TCP, a goroutine for each connection; what the system costs",
	serve:  serveRaw,
	events: serveRawEvents,
}

func serveRaw(j *serverJob) error {
	var all hub[net.Conn]
	return acceptLoop(j.listener(), func(c net.Conn) {
		defer c.Close()
		switch {
		case j.broadcast():
			all.add(c)
			rawMessages(c, j.Size, func(b []byte) error {
				all.each(func(c net.Conn) { c.Write(b) })
				return nil
			})
		case j.Depth == 1:
			// A message at a time, as the libraries do; so that a large one is
			// not on its way back before it is complete.
			rawMessages(c, j.Size, func(b []byte) error { _, err := c.Write(b); return err })
		default:
			rawBytes(c)
		}
	})
}

// rawMessages calls f with each message of a known size.
func rawMessages(c net.Conn, size int, f func([]byte) error) {
	b := make([]byte, size)
	for {
		if _, err := io.ReadFull(c, b); err != nil || f(b) != nil {
			return
		}
	}
}

// rawBytes writes what a read gives, whatever that is.
func rawBytes(c net.Conn) {
	b := make([]byte, 64<<10)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		if _, err := c.Write(b[:n]); err != nil {
			return
		}
	}
}

// acceptLoop runs serve in a goroutine for each connection.
func acceptLoop(ln net.Listener, serve func(net.Conn)) error {
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		go serve(c)
	}
}

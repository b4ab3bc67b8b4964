//go:build unix && !linux

package websocket

const sendMore = 0

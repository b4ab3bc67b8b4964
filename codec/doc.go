// Package codec turns bytes into frames, messages and events, and back, without
// any I/O: no net, no goroutine, no clock, no lock.
package codec

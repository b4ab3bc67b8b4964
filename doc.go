// Package websocket is WebSocket and EventSource over channels.
package websocket

module github.com/chanws/websocket

go 1.25.0

require (
	github.com/klauspost/compress v1.20.3
	go.uber.org/goleak v1.3.0
	golang.org/x/net v0.58.0
	golang.org/x/sync v0.22.0
)

require golang.org/x/text v0.41.0 // indirect
